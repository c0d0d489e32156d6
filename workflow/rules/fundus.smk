"""Photographs of chapter 4, prepared for De Fauw's network."""

rule prepare_idrid:
    output:
        **plan.prepared("idrid"),
    params:
        mirror=plan.mirror_argument(),
        folder=paths.PHOTOGRAPHS / "idrid",
        threads=ONE_THREAD,
    conda:
        ENVIRONMENT
    log:
        "results/logs/prepare_idrid.log",
    benchmark:
        "results/benchmarks/prepare_idrid.tsv"
    shell:
        "{params.threads} cnnviz prepare-photographs --source idrid "
        "{params.mirror} --output {params.folder} > {log} 2>&1"


rule prepare_kaggle:
    output:
        **plan.prepared("kaggle"),
    params:
        photographs=config["fundus"]["kaggle"] or "",
        folder=paths.PHOTOGRAPHS / "kaggle",
        threads=ONE_THREAD,
    conda:
        ENVIRONMENT
    log:
        "results/logs/prepare_kaggle.log",
    benchmark:
        "results/benchmarks/prepare_kaggle.tsv"
    shell:
        "{params.threads} cnnviz prepare-photographs --source kaggle "
        "--partial --folder {params.photographs:q} --output {params.folder} > {log} 2>&1"


rule prepare_synthetic:
    output:
        **plan.prepared("synthetic"),
    params:
        pairs=config["fundus"]["pairs"],
        folder=paths.PHOTOGRAPHS / "synthetic",
        threads=ONE_THREAD,
    conda:
        ENVIRONMENT
    log:
        "results/logs/prepare_synthetic.log",
    benchmark:
        "results/benchmarks/prepare_synthetic.tsv"
    shell:
        "{params.threads} cnnviz prepare-photographs --source synthetic "
        "--pairs {params.pairs} --output {params.folder} > {log} 2>&1"


rule synthetic_lesions:
    input:
        real=shipped(paths.IDRID_LESIONS),
    output:
        text=report(paths.LESIONS_TABLE, category="Chapter 4",
                    caption="../report/synthetic_lesions.rst"),
    params:
        photographs=config["fundus"]["lesions"],
        threads=ONE_THREAD,
    conda:
        ENVIRONMENT
    log:
        "results/logs/synthetic_lesions.log",
    benchmark:
        "results/benchmarks/synthetic_lesions.tsv"
    shell:
        "{params.threads} cnnviz synthetic-lesions --real {input.real:q} "
        "--count {params.photographs} --output {output.text} > {log} 2>&1"


rule figure_fundus:
    input:
        synthetic=photographs_of("synthetic"),
        real=photographs_of("idrid") if plan.mirror else [],
    output:
        reported_figure("figure_fundus", "Chapter 4"),
    params:
        synthetic=paths.PHOTOGRAPHS / "synthetic",
        real=f"--real {paths.PHOTOGRAPHS / 'idrid'}" if plan.mirror else "",
        mirror=plan.mirror_argument(),
        stem=paths.FIGURES / "figure_fundus",
    conda:
        ENVIRONMENT
    log:
        "results/logs/figure_fundus.log",
    benchmark:
        "results/benchmarks/figure_fundus.tsv"
    shell:
        "cnnviz figure fundus --synthetic {params.synthetic} {params.real} {params.mirror} "
        "--output {params.stem} > {log} 2>&1"


# --- The network --------------------------------------------------------------

rule train_fundus:
    input:
        before=plan.stage_before,
        photographs=stage_photographs,
        settings=shipped(paths.FUNDUS_TRAINING),
    output:
        weights=plan.fundus_weights("{stage}"),
        history=paths.PHOTOGRAPHS / "weights" / "{stage}.csv",
    wildcard_constraints:
        stage="|".join(FUNDUS_STAGES),
    params:
        given=plan.stage_arguments,
        # Beside the outputs, and kept when the rule is interrupted.
        checkpoint=paths.PHOTOGRAPHS / "weights" / ".unfinished-{stage}.npz",
        engine=plan.engine_arguments(),
    threads: workflow.cores
    conda:
        ENVIRONMENT
    log:
        "results/logs/train_fundus/{stage}.log",
    benchmark:
        "results/benchmarks/train_fundus/{stage}.tsv"
    shell:
        "cnnviz train-fundus --stage {wildcards.stage} --settings {input.settings:q} "
        "{params.given} --checkpoint {params.checkpoint} "
        "{params.engine} --history {output.history} --output {output.weights} "
        "> {log} 2>&1"


rule evaluate_fundus:
    input:
        photographs=prepared_photographs,
        weights=plan.network_weights,
    output:
        evaluation=paths.EVALUATIONS / "fundus" / "{source}.npz",
    wildcard_constraints:
        source="synthetic|idrid|kaggle",
    params:
        given=plan.photographs_arguments,
        choice=config["fundus"]["weights"],
        engine=plan.engine_arguments(),
    threads: workflow.cores
    conda:
        ENVIRONMENT
    log:
        "results/logs/evaluate_fundus/{source}.log",
    benchmark:
        "results/benchmarks/evaluate_fundus/{source}.tsv"
    shell:
        "cnnviz evaluate-fundus {params.given} "
        "--weights {params.choice} {params.engine} --output {output.evaluation} "
        "> {log} 2>&1"


rule table_fundus:
    input:
        evaluations=[paths.EVALUATIONS / "fundus" / f"{source}.npz"
                     for source in plan.evaluated_sources()],
    output:
        text=report(plan.kept(paths.FUNDUS_TABLE), category="Chapter 4",
                    caption="../report/fundus_network.rst"),
    conda:
        ENVIRONMENT
    log:
        "results/logs/table_fundus.log",
    benchmark:
        "results/benchmarks/table_fundus.tsv"
    shell:
        "cnnviz table fundus --evaluations {input.evaluations} "
        "--output {output.text} > {log} 2>&1"
