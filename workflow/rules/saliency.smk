"""Saliency maps of the features (thesis sections 3.2.1 and 5.4)."""

rule saliency_of_features:
    input:
        images=rules.render_die360.output.images,
        weights=lambda wildcards: paths.weight_file(
            plan.weights_folder(), "random", wildcards.network, 0),
    output:
        saliency=paths.SALIENCY / "{network}.npz",
    params:
        folder=plan.weights_folder(),
        stride=config["die360"]["saliency_stride"],
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    conda:
        ENVIRONMENT
    log:
        "results/logs/saliency_of_features/{network}.log",
    benchmark:
        "results/benchmarks/saliency_of_features/{network}.tsv"
    shell:
        "{params.threads} cnnviz saliency --images {input.images} "
        "--weights-folder {params.folder:q} --sampling-stride {params.stride} "
        "--network {wildcards.network} {params.engine} --output {output.saliency} "
        "> {log} 2>&1"
