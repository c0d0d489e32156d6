"""Validation of the automatic labeler of features, where the truth is known."""

rule validate_labeler:
    input:
        images=rules.render_die360.output.images,
        weights=[paths.weight_file(plan.weights_folder(), "random", network, fold)
                 for network in plan.convolutional() for fold in range(config["folds"])],
        saliency=[paths.SALIENCY / f"{network}.npz" for network in plan.convolutional()],
    output:
        text=report(paths.LABELER_TABLE, category="Chapter 5",
                    caption="../report/labeler_validation.rst"),
    params:
        networks=plan.convolutional(),
        folds=config["folds"],
        permutations=config["fundus"]["permutations"],
        folder=plan.weights_folder(),
        photographs=config["labeler_validation"]["photographs"],
        filters=config["labeler_validation"]["filters"],
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    conda:
        ENVIRONMENT
    log:
        "results/logs/validate_labeler.log",
    benchmark:
        "results/benchmarks/validate_labeler.tsv"
    shell:
        "{params.threads} cnnviz validate-labeler --images {input.images} "
        "--weights-folder {params.folder:q} "
        "--networks {params.networks} --folds {params.folds} "
        "--count {params.photographs} --filters {params.filters} "
        "--permutations {params.permutations} "
        "--saliency {input.saliency} {params.engine} --output {output.text} "
        "> {log} 2>&1"
