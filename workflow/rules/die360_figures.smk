"""Neighboring views, posteriors, exemplars and animations (thesis sections 5.3, 5.4)."""

rule neighbors:
    input:
        images=rules.render_die360.output.images,
        weights=lambda wildcards: paths.weight_file(
            plan.weights_folder(), "random", wildcards.network, 0),
    output:
        changes=paths.NEIGHBORS / "{network}.npz",
    params:
        folder=plan.weights_folder(),
        stride=config["die360"]["neighbors_stride"],
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    resources:
        mem_mb=1500,
    conda:
        ENVIRONMENT
    log:
        "results/logs/neighbors/{network}.log",
    benchmark:
        "results/benchmarks/neighbors/{network}.tsv"
    shell:
        "{params.threads} cnnviz neighbors --images {input.images} "
        "--weights-folder {params.folder:q} --sampling-stride {params.stride} "
        "--network {wildcards.network} {params.engine} --output {output.changes} "
        "> {log} 2>&1"


rule figure_5_2:
    input:
        changes=expand(paths.NEIGHBORS / "{network}.npz", network=plan.convolutional()),
    output:
        reported_figure("figure_5_2"),
        table=report(paths.NEIGHBORS_TABLE, category="Chapter 5",
                     caption="../report/neighboring_views.rst"),
    params:
        stem=paths.FIGURES / "figure_5_2",
    conda:
        ENVIRONMENT
    log:
        "results/logs/figure_5_2.log",
    benchmark:
        "results/benchmarks/figure_5_2.tsv"
    shell:
        "cnnviz figure 5.2 --neighbors {input.changes} --table {output.table} "
        "--output {params.stem} > {log} 2>&1"


rule disagreement:
    input:
        images=rules.render_die360.output.images,
        weights=[paths.weight_file(plan.weights_folder(), "random", network, 0)
                 for network in config["networks"]],
    output:
        found=paths.DISAGREEMENT,
    params:
        folder=plan.weights_folder(),
        networks=config["networks"],
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    resources:
        mem_mb=1500,
    conda:
        ENVIRONMENT
    log:
        "results/logs/disagreement.log",
    benchmark:
        "results/benchmarks/disagreement.tsv"
    shell:
        "{params.threads} cnnviz disagreement --images {input.images} "
        "--weights-folder {params.folder:q} "
        "--networks {params.networks} {params.engine} --output {output.found} "
        "> {log} 2>&1"


rule figure_5_5:
    input:
        found=rules.disagreement.output.found,
    output:
        reported_figure("figure_5_5"),
    params:
        stem=paths.FIGURES / "figure_5_5",
    conda:
        ENVIRONMENT
    log:
        "results/logs/figure_5_5.log",
    benchmark:
        "results/benchmarks/figure_5_5.tsv"
    shell:
        "cnnviz figure 5.5 --disagreement {input.found} --output {params.stem} "
        "> {log} 2>&1"


rule die_exemplars:
    input:
        images=rules.render_die360.output.images,
        weights=lambda wildcards: paths.weight_file(
            plan.weights_folder(), "random", wildcards.network, 0),
    output:
        exemplars=paths.DIE_EXEMPLARS / "{network}.npz",
    params:
        folder=plan.weights_folder(),
        stride=config["die360"]["maxima_stride"],
        starts=config["die360"]["starts"],
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    resources:
        mem_mb=1500,
    conda:
        ENVIRONMENT
    log:
        "results/logs/die_exemplars/{network}.log",
    benchmark:
        "results/benchmarks/die_exemplars/{network}.tsv"
    shell:
        "{params.threads} cnnviz die-exemplars --images {input.images} "
        "--weights-folder {params.folder:q} --sampling-stride {params.stride} "
        "--starts {params.starts} "
        "--network {wildcards.network} {params.engine} --output {output.exemplars} "
        "> {log} 2>&1"


rule table_5_2:
    input:
        exemplars=expand(paths.DIE_EXEMPLARS / "{network}.npz", network=plan.convolutional()),
    output:
        reported_figure("table_5_2"),
        claims=report(paths.EXEMPLARS_TABLE, category="Chapter 5",
                      caption="../report/exemplars_die360.rst"),
    params:
        stem=paths.FIGURES / "table_5_2",
        threads=ONE_THREAD,
    conda:
        ENVIRONMENT
    log:
        "results/logs/table_5_2.log",
    benchmark:
        "results/benchmarks/table_5_2.tsv"
    shell:
        "{params.threads} cnnviz table 5.2 --exemplars {input.exemplars} "
        "--table {output.claims} --output {params.stem} > {log} 2>&1"


rule animations:
    input:
        images=rules.render_die360.output.images,
        saliency=paths.SALIENCY / f"{plan.animated_network()}.npz",
        weights=paths.weight_file(plan.weights_folder(), "random", plan.animated_network(), 0),
    output:
        report(plan.animation_files(), category="Chapter 5", caption="../report/animations.rst"),
    params:
        folder=plan.weights_folder(),
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
        made=paths.ANIMATIONS,
    resources:
        mem_mb=1500,
    conda:
        ENVIRONMENT
    log:
        "results/logs/animations.log",
    benchmark:
        "results/benchmarks/animations.tsv"
    shell:
        "{params.threads} cnnviz animate --images {input.images} "
        "--saliency {input.saliency} "
        "--weights-folder {params.folder:q} {params.engine} --output {params.made} "
        "> {log} 2>&1"
