"""Tables, and the comparison with the thesis."""

rule table_5_1:
    input:
        random=evaluations("random"),
        separated=evaluations("separated") if separated() else [],
        reported=paths.REPORTED_TABLES / "table_5_1.csv",
    output:
        reproduced=paths.REPRODUCED_TABLES / "table_5_1.csv",
        folds=paths.BEYOND_TABLES / "table_5_1_folds.csv",
        separated=report(
            paths.BEYOND_TABLES / "table_5_1_separated.md",
            caption="../report/table_5_1_separated.rst", category="Chapter 5",
        ) if separated() else [],
        separated_folds=paths.BEYOND_TABLES / "table_5_1_separated.csv" if separated() else [],
    params:
        folder=paths.EVALUATIONS,
        networks=config["networks"],
        folds=config["folds"],
        separated=(f"--separated {paths.BEYOND_TABLES / 'table_5_1_separated.md'}"
                   if separated() else ""),
    conda:
        ENVIRONMENT
    log:
        "logs/table_5_1.log",
    benchmark:
        "results/benchmarks/table_5_1.tsv"
    shell:
        "cnnviz table-5-1 --evaluations {params.folder:q} "
        "--networks {params.networks} --folds {params.folds} "
        "--reported {input.reported:q} --output {output.reproduced} "
        "--folds-table {output.folds} {params.separated} > {log} 2>&1"


rule text_chapter_5:
    input:
        images=rules.render_die360.output.images,
        random=evaluations("random"),
        reported=paths.REPORTED_TABLES / "text_chapter_5.csv",
    output:
        reproduced=paths.REPRODUCED_TABLES / "text_chapter_5.csv",
    params:
        every=config["die360"]["every"],
        folder=paths.EVALUATIONS,
        networks=config["networks"],
        folds=config["folds"],
    conda:
        ENVIRONMENT
    log:
        "logs/text_chapter_5.log",
    benchmark:
        "results/benchmarks/text_chapter_5.tsv"
    shell:
        "cnnviz text-chapter-5 --images {input.images} --every {params.every} "
        "--evaluations {params.folder:q} --networks {params.networks} "
        "--folds {params.folds} --reported {input.reported:q} "
        "--output {output.reproduced} > {log} 2>&1"


rule compare_with_thesis:
    input:
        reported=sorted(paths.REPORTED_TABLES.glob("*.csv")),
        reproduced=[rules.table_5_1.output.reproduced,
                    rules.text_chapter_5.output.reproduced],
        reasons=paths.REASONS,
    output:
        comparison=paths.COMPARISON,
        text=report(paths.COMPARISON_TEXT, caption="../report/comparison.rst",
                    category="Reported beside reproduced"),
    conda:
        ENVIRONMENT
    log:
        "logs/compare_with_thesis.log",
    benchmark:
        "results/benchmarks/compare_with_thesis.tsv"
    shell:
        "cnnviz compare --reported {input.reported:q} "
        "--reproduced {input.reproduced} --reasons {input.reasons:q} "
        "--output {output.comparison} > {log} 2>&1"
