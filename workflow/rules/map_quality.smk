"""Evaluation of attribution maps (thesis section 6.1 asks for it)."""

rule map_quality_die360:
    input:
        images=rules.render_die360.output.images,
        weights=paths.weight_file(plan.weights_folder(), "random", plan.deepest_network(), 0),
    output:
        measured=paths.MAP_QUALITY / "die360.csv",
    params:
        views=config["map_quality"]["views"],
        network=plan.deepest_network(),
        folder=plan.weights_folder(),
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    conda:
        ENVIRONMENT
    log:
        "results/logs/map_quality_die360.log",
    benchmark:
        "results/benchmarks/map_quality_die360.tsv"
    shell:
        "{params.threads} cnnviz map-quality --experiment die360 --images {input.images} "
        "--views {params.views} --weights-folder {params.folder:q} "
        "--network {params.network} {params.engine} --output {output.measured} "
        "> {log} 2>&1"


rule map_quality_fundus:
    input:
        weights=plan.network_weights,
    output:
        measured=paths.MAP_QUALITY / "fundus.csv",
    params:
        choice=config["fundus"]["weights"],
        layers=plan.measured_layers(),
        photographs=config["map_quality"]["photographs"],
        selection=config["map_quality"]["selection"],
        mirror=plan.mirror_argument(),
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    resources:
        mem_mb=3000,
    conda:
        ENVIRONMENT
    log:
        "results/logs/map_quality_fundus.log",
    benchmark:
        "results/benchmarks/map_quality_fundus.tsv"
    shell:
        "{params.threads} cnnviz map-quality --experiment fundus --weights {params.choice} "
        "--layers {params.layers} --count {params.photographs} "
        "--selection-count {params.selection} {params.mirror} {params.engine} "
        "--output {output.measured} > {log} 2>&1"


rule table_map_quality:
    input:
        measured=plan.map_quality_files(),
    output:
        text=report(plan.kept(paths.MAP_QUALITY_TABLE), category="Methods",
                    caption="../report/map_quality.rst"),
        summary=plan.kept(paths.MAP_QUALITY_TABLE.with_suffix(".csv")),
    params:
        threads=ONE_THREAD,
    conda:
        ENVIRONMENT
    log:
        "results/logs/table_map_quality.log",
    benchmark:
        "results/benchmarks/table_map_quality.tsv"
    shell:
        "{params.threads} cnnviz table map-quality --measured {input.measured} "
        "--summary {output.summary} --output {output.text} > {log} 2>&1"


rule figure_map_quality:
    input:
        summary=rules.table_map_quality.output.summary,
    output:
        reported_figure("figure_map_quality", "Methods"),
    params:
        stem=paths.FIGURES / "figure_map_quality",
    conda:
        ENVIRONMENT
    log:
        "results/logs/figure_map_quality.log",
    benchmark:
        "results/benchmarks/figure_map_quality.tsv"
    shell:
        "cnnviz figure map-quality --summary {input.summary} --output {params.stem} "
        "> {log} 2>&1"
