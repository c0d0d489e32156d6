"""Figures of chapter 5."""

rule figure_5_1:
    output:
        reported_figure("figure_5_1"),
    params:
        stem=paths.FIGURES / "figure_5_1",
    conda:
        ENVIRONMENT
    log:
        "results/logs/figure_5_1.log",
    benchmark:
        "results/benchmarks/figure_5_1.tsv"
    shell:
        "cnnviz figure 5.1 --output {params.stem} > {log} 2>&1"


rule figure_5_3:
    input:
        saliency=expand(paths.SALIENCY / "{network}.npz", network=convolutional()),
    output:
        reported_figure("figure_5_3"),
    params:
        stem=paths.FIGURES / "figure_5_3",
    conda:
        ENVIRONMENT
    log:
        "results/logs/figure_5_3.log",
    benchmark:
        "results/benchmarks/figure_5_3.tsv"
    shell:
        "cnnviz figure 5.3 --saliency {input.saliency} --output {params.stem} "
        "> {log} 2>&1"


rule figure_5_4:
    input:
        saliency=expand(paths.SALIENCY / "{network}.npz", network=with_second_pool()),
    output:
        reported_figure("figure_5_4"),
    params:
        stem=paths.FIGURES / "figure_5_4",
    conda:
        ENVIRONMENT
    log:
        "results/logs/figure_5_4.log",
    benchmark:
        "results/benchmarks/figure_5_4.tsv"
    shell:
        "cnnviz figure 5.4 --saliency {input.saliency} --output {params.stem} "
        "> {log} 2>&1"


rule figure_leakage:
    input:
        by_distance=rules.table_without_leakage.output.by_distance,
        folds=rules.table_5_1.output.folds,
    output:
        reported_figure("figure_leakage"),
    params:
        stem=paths.FIGURES / "figure_leakage",
    conda:
        ENVIRONMENT
    log:
        "results/logs/figure_leakage.log",
    benchmark:
        "results/benchmarks/figure_leakage.tsv"
    shell:
        "cnnviz figure leakage --by-distance {input.by_distance} "
        "--folds-table {input.folds} --output {params.stem} > {log} 2>&1"
