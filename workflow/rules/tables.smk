"""Tables, and the comparison with the thesis."""

rule table_5_1:
    input:
        random=plan.evaluations("random"),
        reported=reported("table_5_1"),
    output:
        reproduced=paths.REPRODUCED_TABLES / "table_5_1.csv",
        folds=paths.FOLDS_TABLE,
    params:
        folder=paths.EVALUATIONS,
        networks=config["networks"],
        folds=config["folds"],
    conda:
        ENVIRONMENT
    log:
        "results/logs/table_5_1.log",
    benchmark:
        "results/benchmarks/table_5_1.tsv"
    shell:
        "cnnviz table 5.1 --evaluations {params.folder} "
        "--networks {params.networks} --folds {params.folds} "
        "--reported {input.reported:q} --output {output.reproduced} "
        "--folds-table {output.folds} > {log} 2>&1"


rule table_without_leakage:
    input:
        random=plan.evaluations("random"),
        separated=plan.evaluations("separated"),
        reported=reported("table_5_1"),
    output:
        text=report(paths.SEPARATED_TABLE, category="Chapter 5",
                    caption="../report/table_5_1_separated.rst"),
        folds=paths.SEPARATED_TABLE.with_suffix(".csv"),
        by_distance=paths.BY_DISTANCE,
    params:
        folder=paths.EVALUATIONS,
        networks=config["networks"],
        folds=config["folds"],
    conda:
        ENVIRONMENT
    log:
        "results/logs/table_without_leakage.log",
    benchmark:
        "results/benchmarks/table_without_leakage.tsv"
    shell:
        "cnnviz table leakage --evaluations {params.folder} "
        "--networks {params.networks} "
        "--folds {params.folds} --reported {input.reported:q} "
        "--output {output.text} --folds-table {output.folds} "
        "--by-distance {output.by_distance} > {log} 2>&1"


rule text_chapter_5:
    input:
        images=rules.render_die360.output.images,
        random=plan.evaluations("random"),
        reported=reported("text_chapter_5"),
    output:
        reproduced=paths.REPRODUCED_TABLES / "text_chapter_5.csv",
    params:
        folder=paths.EVALUATIONS,
        networks=config["networks"],
        folds=config["folds"],
    conda:
        ENVIRONMENT
    log:
        "results/logs/text_chapter_5.log",
    benchmark:
        "results/benchmarks/text_chapter_5.tsv"
    shell:
        "cnnviz table chapter-5 --images {input.images} "
        "--evaluations {params.folder:q} --networks {params.networks} "
        "--folds {params.folds} --reported {input.reported:q} "
        "--output {output.reproduced} > {log} 2>&1"


rule record_software:
    output:
        software=paths.SOFTWARE,
    params:
        engine=plan.engine_arguments(),
    conda:
        ENVIRONMENT
    log:
        "results/logs/record_software.log",
    shell:
        "cnnviz engine {params.engine} > {output.software} 2> {log}"


rule describe_run:
    output:
        run=paths.RUN,
    params:
        text=plan.run_in_words(),
    conda:
        ENVIRONMENT
    log:
        "results/logs/describe_run.log",
    shell:
        "printf %s {params.text:q} > {output.run} 2> {log}"


rule text_chapter_4:
    input:
        reported=reported("text_chapter_4"),
    output:
        reproduced=plan.kept(paths.REPRODUCED_TABLES / "text_chapter_4.csv"),
    params:
        mirror=plan.mirror_argument(),
        threads=ONE_THREAD,
    resources:
        mem_mb=1500,
    conda:
        ENVIRONMENT
    log:
        "results/logs/text_chapter_4.log",
    benchmark:
        "results/benchmarks/text_chapter_4.tsv"
    shell:
        "{params.threads} cnnviz table chapter-4 {params.mirror} "
        "--reported {input.reported:q} --output {output.reproduced} > {log} 2>&1"


rule compare_with_thesis:
    input:
        reported=REPORTED,
        reproduced=[*plan.table_4_1_numbers(), rules.text_chapter_4.output.reproduced,
                    rules.table_5_1.output.reproduced,
                    rules.text_chapter_5.output.reproduced],
        reasons=shipped(paths.REASONS),
    output:
        comparison=plan.kept(paths.COMPARISON),
        text=report(plan.kept(paths.COMPARISON_TEXT), caption="../report/comparison.rst",
                    category="Reported beside reproduced"),
    conda:
        ENVIRONMENT
    log:
        "results/logs/compare_with_thesis.log",
    benchmark:
        "results/benchmarks/compare_with_thesis.tsv"
    shell:
        "cnnviz compare --reported {input.reported:q} "
        "--reproduced {input.reproduced} --reasons {input.reasons:q} "
        "--output {output.comparison} > {log} 2>&1"
