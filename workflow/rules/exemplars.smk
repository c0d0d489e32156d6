"""Exemplars beside data: the hypothesis of thesis sections 4.4 and 6."""

rule exemplar_statistics_die:
    input:
        images=rules.render_die360.output.images,
        weights=plan.twin_weights,
    output:
        statistics=paths.EXEMPLAR_STATISTICS / "{network}.npz",
    wildcard_constraints:
        network="|".join(TWINS),
    params:
        folder=plan.twins_folder(),
        given=plan.exemplar_steps(),
        # Steps are too small for calls of kernels.
        engine=plan.engine_arguments("theano"),
        threads=ONE_THREAD,
    resources:
        mem_mb=1500,
    conda:
        ENVIRONMENT
    log:
        "results/logs/exemplar_statistics/{network}.log",
    benchmark:
        "results/benchmarks/exemplar_statistics/{network}.tsv"
    shell:
        "{params.threads} cnnviz exemplar-statistics --network {wildcards.network} "
        "--images {input.images} --weights-folder {params.folder:q} "
        "{params.given} {params.engine} --output {output.statistics} > {log} 2>&1"


rule exemplar_statistics_fundus:
    input:
        photographs=photographs_of("synthetic"),
        weights=plan.network_weights,
    output:
        statistics=paths.EXEMPLAR_STATISTICS / "defauw.npz",
    params:
        folder=paths.PHOTOGRAPHS / "synthetic",
        choice=config["fundus"]["weights"],
        layers=plan.exemplar_layers(),
        given=plan.exemplar_steps(),
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    resources:
        mem_mb=3000,
    conda:
        ENVIRONMENT
    log:
        "results/logs/exemplar_statistics/defauw.log",
    benchmark:
        "results/benchmarks/exemplar_statistics/defauw.tsv"
    shell:
        "{params.threads} cnnviz exemplar-statistics --network defauw "
        "--photographs {params.folder} --weights {params.choice} "
        "--layers {params.layers} {params.given} {params.engine} "
        "--output {output.statistics} > {log} 2>&1"


rule table_exemplars:
    input:
        statistics=plan.exemplar_files(),
    output:
        text=report(paths.EXEMPLARS_BESIDE_DATA, category="Methods",
                    caption="../report/exemplars.rst"),
        rows=paths.EXEMPLARS_BESIDE_DATA.with_suffix(".csv"),
    conda:
        ENVIRONMENT
    log:
        "results/logs/table_exemplars.log",
    benchmark:
        "results/benchmarks/table_exemplars.tsv"
    shell:
        "cnnviz table exemplars --statistics {input.statistics} --rows {output.rows} "
        "--output {output.text} > {log} 2>&1"


rule figure_exemplars:
    input:
        statistics=plan.exemplar_files(),
    output:
        reported_figure("figure_exemplars", "Methods"),
    params:
        stem=paths.FIGURES / "figure_exemplars",
    conda:
        ENVIRONMENT
    log:
        "results/logs/figure_exemplars.log",
    benchmark:
        "results/benchmarks/figure_exemplars.tsv"
    shell:
        "cnnviz figure exemplars --statistics {input.statistics} "
        "--output {params.stem} > {log} 2>&1"
