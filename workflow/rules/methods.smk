"""Every visualization method on both experiments."""

rule figure_methods:
    input:
        die=paths.weight_file(plan.weights_folder(), "random", "c9", 0),
        fundus=shipped(paths.SURROGATE_WEIGHTS),
    output:
        reported_figure("figure_methods", "Methods"),
    params:
        stem=paths.FIGURES / "figure_methods",
        folder=plan.weights_folder(),
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    conda:
        ENVIRONMENT
    log:
        "results/logs/figure_methods.log",
    benchmark:
        "results/benchmarks/figure_methods.tsv"
    shell:
        "{params.threads} cnnviz figure methods --weights {params.folder:q} "
        "{params.engine} --output {params.stem} > {log} 2>&1"
