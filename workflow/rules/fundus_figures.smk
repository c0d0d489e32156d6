"""Figures of chapter 4 besides saliency: annotated photographs, and exemplars."""

for number, with_mirror in {"4.1": True, "4.2": True, "4.3": False}.items():

    rule:
        name:
            f"figure_{number.replace('.', '_')}"
        output:
            reported_figure(f"figure_{number.replace('.', '_')}", "Chapter 4"),
        params:
            command=f"figure {number}",
            mirror=plan.mirror_argument() if with_mirror else "",
            stem=paths.FIGURES / f"figure_{number.replace('.', '_')}",
            threads=ONE_THREAD,
        conda:
            ENVIRONMENT
        log:
            f"results/logs/figure_{number.replace('.', '_')}.log",
        benchmark:
            f"results/benchmarks/figure_{number.replace('.', '_')}.tsv"
        shell:
            "{params.threads} cnnviz {params.command} {params.mirror} "
            "--output {params.stem} > {log} 2>&1"


rule fundus_exemplars:
    input:
        photographs=prepared_photographs,
        roles=paths.features(plan.label_source(), "roles.csv"),
        weights=plan.network_weights,
    output:
        exemplars=paths.FEATURES / "{source}" / "exemplars.npz",
    wildcard_constraints:
        source="synthetic|idrid|kaggle",
    params:
        folder=lambda wildcards: paths.PHOTOGRAPHS / wildcards.source,
        choice=config["fundus"]["weights"],
        steps=config["fundus"]["exemplar_steps"],
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    resources:
        mem_mb=3000,
    conda:
        ENVIRONMENT
    log:
        "results/logs/fundus_exemplars/{source}.log",
    benchmark:
        "results/benchmarks/fundus_exemplars/{source}.tsv"
    shell:
        "{params.threads} cnnviz fundus-exemplars --photographs {params.folder} "
        "--roles {input.roles} --weights {params.choice} --steps {params.steps} "
        "{params.engine} --output {output.exemplars} > {log} 2>&1"


for number in EXEMPLARS:

    rule:
        name:
            f"figure_{number.replace('.', '_')}"
        input:
            exemplars=paths.features(plan.fundus_source(), "exemplars.npz"),
        output:
            reported_figure(f"figure_{number.replace('.', '_')}", "Chapter 4"),
        params:
            command=f"figure {number}",
            stem=paths.FIGURES / f"figure_{number.replace('.', '_')}",
        conda:
            ENVIRONMENT
        log:
            f"results/logs/figure_{number.replace('.', '_')}.log",
        benchmark:
            f"results/benchmarks/figure_{number.replace('.', '_')}.tsv"
        shell:
            "cnnviz {params.command} --exemplars {input.exemplars} "
            "--output {params.stem} > {log} 2>&1"
