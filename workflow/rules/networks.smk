"""Training and evaluation of the eight networks (thesis section 5.2)."""

wildcard_constraints:
    network="[a-z0-9]+(_sigmoid)?",
    split="random|separated",
    fold="[0-9]+",


rule train_network:
    input:
        images=rules.render_die360.output.images,
    output:
        weights=paths.weight_file(paths.TRAINED_WEIGHTS, "{split}", "{network}", "{fold}"),
        history=paths.HISTORIES / "{split}" / "{network}_fold{fold}.csv",
    params:
        epochs=plan.setting("epochs"),
        batch_size=plan.setting("batch_size"),
        learning_rate=plan.setting("learning_rate"),
        momentum=plan.setting("momentum"),
        alive_accuracy=plan.setting("alive_accuracy", 0.35),
        engine=plan.training_engine,
        threads=ONE_THREAD,
    resources:
        mem_mb=1500,
    conda:
        ENVIRONMENT
    log:
        "results/logs/train_network/{split}/{network}_fold{fold}.log",
    benchmark:
        "results/benchmarks/train_network/{split}/{network}_fold{fold}.tsv"
    shell:
        "{params.threads} cnnviz train --images {input.images} "
        "--network {wildcards.network} "
        "--split {wildcards.split} --fold {wildcards.fold} "
        "--epochs {params.epochs} --batch-size {params.batch_size} "
        "--learning-rate {params.learning_rate} --momentum {params.momentum} "
        "--alive-accuracy {params.alive_accuracy} {params.engine} "
        "--output {output.weights} --history {output.history} > {log} 2>&1"


rule evaluate_network:
    input:
        images=rules.render_die360.output.images,
        weights=plan.weights_of_folds,
    output:
        # All folds in one process, which takes longer to begin than to end.
        [paths.weight_file(paths.EVALUATIONS, "{split}", "{network}", fold)
         for fold in range(config["folds"])],
    params:
        folds=list(range(config["folds"])),
        evaluations=paths.EVALUATIONS,
        folder=plan.weights_folder(),
        engine=plan.engine_arguments(),
        threads=ONE_THREAD,
    resources:
        mem_mb=1500,
    conda:
        ENVIRONMENT
    log:
        "results/logs/evaluate_network/{split}/{network}.log",
    benchmark:
        "results/benchmarks/evaluate_network/{split}/{network}.tsv"
    shell:
        "{params.threads} cnnviz evaluate --images {input.images} "
        "--weights-folder {params.folder:q} "
        "--network {wildcards.network} --split {wildcards.split} "
        "--folds {params.folds} {params.engine} --output {params.evaluations} "
        "> {log} 2>&1"
