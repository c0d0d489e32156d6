"""What the features of De Fauw's network detect (thesis section 4.3, Table 4.1)."""

rule mark_concepts:
    input:
        photographs=prepared_photographs,
    output:
        concepts=paths.FEATURES / "{source}" / "concepts.npz",
    wildcard_constraints:
        source="synthetic|idrid",
    params:
        folder=lambda wildcards: paths.PHOTOGRAPHS / wildcards.source,
        mirror=plan.mirror_argument(),
        threads=ONE_THREAD,
    conda:
        ENVIRONMENT
    log:
        "results/logs/mark_concepts/{source}.log",
    benchmark:
        "results/benchmarks/mark_concepts/{source}.tsv"
    shell:
        "{params.threads} cnnviz mark-concepts "
        "--photographs {params.folder} {params.mirror} --output {output.concepts} "
        "> {log} 2>&1"


rule dissect:
    input:
        photographs=prepared_photographs,
        concepts=plan.marked_concepts,
        weights=plan.weights_of_features,
    output:
        dissected=paths.FEATURES / "{source}" / "dissected_{network}.npz",
    wildcard_constraints:
        network="trained|random",
    params:
        folder=lambda wildcards: paths.PHOTOGRAPHS / wildcards.source,
        concepts=plan.concepts_argument,
        choice=plan.network_choice,
        overlap=config["fundus"]["overlap"],
        features=plan.features_argument(),
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    resources:
        mem_mb=2500,
    conda:
        ENVIRONMENT
    log:
        "results/logs/dissect/{source}_{network}.log",
    benchmark:
        "results/benchmarks/dissect/{source}_{network}.tsv"
    shell:
        "{params.threads} cnnviz dissect --photographs {params.folder} "
        "{params.concepts} --weights {params.choice} "
        "--overlap {params.overlap} {params.features} {params.engine} "
        "--output {output.dissected} > {log} 2>&1"


rule localize:
    input:
        photographs=prepared_photographs,
        concepts=rules.mark_concepts.output.concepts,
        dissected=rules.dissect.output.dissected,
        weights=plan.weights_of_features,
    output:
        localized=paths.FEATURES / "{source}" / "localized_{network}.npz",
    params:
        folder=lambda wildcards: paths.PHOTOGRAPHS / wildcards.source,
        permutations=config["fundus"]["permutations"],
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    resources:
        mem_mb=2500,
    conda:
        ENVIRONMENT
    log:
        "results/logs/localize/{source}_{network}.log",
    benchmark:
        "results/benchmarks/localize/{source}_{network}.tsv"
    shell:
        "{params.threads} cnnviz localize --photographs {params.folder} "
        "--concepts {input.concepts} --dissected {input.dissected} "
        "--permutations {params.permutations} "
        "{params.engine} --output {output.localized} > {log} 2>&1"


rule label_features:
    input:
        dissected=plan.of_networks("dissected", plan.label_source()),
        localized=plan.of_networks("localized", plan.label_source()),
        reported=reported("table_4_1"),
    output:
        table=report(plan.kept(paths.TABLE_4_1), category="Chapter 4",
                     caption="../report/table_4_1.rst"),
        features=plan.kept(paths.FEATURES_TABLE),
        reproduced=plan.kept(paths.REPRODUCED_TABLES / "table_4_1.csv"),
        roles=paths.features(plan.label_source(), "roles.csv"),
        every=paths.features(plan.label_source(), "every.csv"),
    conda:
        ENVIRONMENT
    log:
        "results/logs/label_features.log",
    benchmark:
        "results/benchmarks/label_features.tsv"
    shell:
        "cnnviz table 4.1 --dissected {input.dissected} "
        "--localized {input.localized} "
        "--reported {input.reported:q} --features {output.features} "
        "--roles {output.roles} --roles-of-all {output.every} --reproduced {output.reproduced} "
        "--output {output.table} > {log} 2>&1"


rule fundus_sheets:
    input:
        photographs=photographs_of(plan.fundus_source()),
        roles=rules.label_features.output.roles,
        dissected=plan.of_networks("dissected", plan.fundus_source()),
        weights=plan.network_weights,
    output:
        [paths.features(plan.fundus_source(), sheet_name(number)) for number in plan.sheets()],
    params:
        photographs=paths.PHOTOGRAPHS / plan.fundus_source(),
        folder=paths.FEATURES / plan.fundus_source(),
        strides=config["fundus"]["strides"],
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    resources:
        mem_mb=2500,
    conda:
        ENVIRONMENT
    log:
        "results/logs/fundus_sheets.log",
    benchmark:
        "results/benchmarks/fundus_sheets.tsv"
    shell:
        "{params.threads} cnnviz fundus-sheets --photographs {params.photographs} "
        "--roles {input.roles} --dissected {input.dissected} "
        "--strides {params.strides} {params.engine} --output {params.folder} "
        "> {log} 2>&1"


for number in plan.sheets():

    rule:
        name:
            f"figure_{number.replace('.', '_')}"
        input:
            sheet=paths.features(plan.fundus_source(), sheet_name(number)),
            roles=rules.label_features.output.roles,
            features=rules.label_features.output.features,
        output:
            reported_figure(f"figure_{number.replace('.', '_')}", "Chapter 4"),
        params:
            command=f"figure {number}",
            folder=paths.FEATURES / plan.fundus_source(),
            stem=paths.FIGURES / f"figure_{number.replace('.', '_')}",
        conda:
            ENVIRONMENT
        log:
            f"results/logs/figure_{number.replace('.', '_')}.log",
        benchmark:
            f"results/benchmarks/figure_{number.replace('.', '_')}.tsv"
        shell:
            "cnnviz {params.command} --sheets {params.folder} --roles {input.roles} "
            "--features {input.features} --output {params.stem} > {log} 2>&1"


# With config/full.yaml: hours of occlusion.
rule every_feature:
    input:
        photographs=photographs_of(plan.fundus_source()),
        every=rules.label_features.output.every,
        features=rules.label_features.output.features,
        dissected=plan.of_networks("dissected", plan.fundus_source()),
        weights=plan.network_weights,
    output:
        sheets=temp(directory(paths.FEATURES / plan.fundus_source() / "every")),
        pages=directory(paths.FIGURES / "features"),
    params:
        photographs=paths.PHOTOGRAPHS / plan.fundus_source(),
        strides=config["fundus"]["strides"],
        engine=plan.engine_arguments(),
    threads: workflow.cores
    conda:
        ENVIRONMENT
    log:
        "results/logs/every_feature.log",
    benchmark:
        "results/benchmarks/every_feature.tsv"
    shell:
        "(cnnviz fundus-sheets --photographs {params.photographs} "
        "--roles {input.every} --dissected {input.dissected} "
        "--strides {params.strides} {params.engine} --output {output.sheets} && "
        "cnnviz figure features --sheets {output.sheets} --roles {input.every} "
        "--features {input.features} --output {output.pages}) > {log} 2>&1"
