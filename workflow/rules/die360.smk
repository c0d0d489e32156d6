"""The data set (thesis section 5.1)."""

rule render_die360:
    output:
        images=paths.DIE360_IMAGES,
    params:
        stride=config["die360"]["sampling_stride"],
    threads: workflow.cores
    conda:
        ENVIRONMENT
    log:
        "results/logs/render_die360.log",
    benchmark:
        "results/benchmarks/render_die360.tsv"
    shell:
        "OMP_NUM_THREADS={threads} cnnviz render --sampling-stride {params.stride} "
        "--output {output.images} 2> {log}"


rule measure_die360:
    input:
        images=rules.render_die360.output.images,
    output:
        facts=paths.DIE360_FACTS,
        statement=paths.DIE360_STATEMENT,
    conda:
        ENVIRONMENT
    log:
        "results/logs/measure_die360.log",
    benchmark:
        "results/benchmarks/measure_die360.tsv"
    shell:
        "cnnviz die360-facts --images {input.images} --output {output.facts} "
        "--statement {output.statement} > {log} 2>&1"
