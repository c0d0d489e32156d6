"""Photographs of chapter 4, prepared for De Fauw's network."""

rule prepare_idrid:
    output:
        **prepared("idrid"),
    params:
        mirror=mirror_argument(),
        folder=paths.PHOTOGRAPHS / "idrid",
        threads=ONE_THREAD,
    conda:
        ENVIRONMENT
    log:
        "logs/prepare_idrid.log",
    benchmark:
        "results/benchmarks/prepare_idrid.tsv"
    shell:
        "{params.threads} cnnviz prepare-photographs --source idrid "
        "{params.mirror} --output {params.folder} > {log} 2>&1"


rule prepare_kaggle:
    output:
        **prepared("kaggle"),
    params:
        photographs=config["fundus"]["kaggle"] or "",
        folder=paths.PHOTOGRAPHS / "kaggle",
        threads=ONE_THREAD,
    conda:
        ENVIRONMENT
    log:
        "logs/prepare_kaggle.log",
    benchmark:
        "results/benchmarks/prepare_kaggle.tsv"
    shell:
        "{params.threads} cnnviz prepare-photographs --source kaggle "
        "--folder {params.photographs:q} --output {params.folder} > {log} 2>&1"
