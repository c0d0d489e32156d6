"""Figures of chapters 2 and 3, and the network of chapter 4."""

for stem, category in BACKGROUND.items():

    rule:
        name:
            stem
        output:
            reported_figure(stem, category),
        params:
            command="figure " + stem.removeprefix("figure_").replace("_", "."),
            stem=paths.FIGURES / stem,
            threads=ONE_THREAD,
        conda:
            ENVIRONMENT
        log:
            f"results/logs/{stem}.log",
        benchmark:
            f"results/benchmarks/{stem}.tsv"
        shell:
            "{params.threads} cnnviz {params.command} --output {params.stem} "
            "> {log} 2>&1"
