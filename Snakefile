"""Every figure and table of the thesis, from nothing but this repository.

    snakemake --cores 2                                    shipped weights
    snakemake --cores 2 --configfile config/retrain.yaml   train everything
"""
from snakemake.utils import min_version

min_version("9.0")

configfile: f"{workflow.basedir}/config/default.yaml"

include: "workflow/rules/common.smk"

report: "workflow/report/workflow.rst"

# Once a run: what runs the networks, or an early end if it cannot.
onstart:
    shell(f"cnnviz engine {plan.engine_arguments()}")

# What 'make reproduce' says itself, in the end of everything.
onsuccess:
    if "MAKELEVEL" not in os.environ and all(path.exists() for path in plan.everything()):
        shell("cnnviz agreement")

localrules: all

rule all:
    input:
        plan.everything()
    default_target: True

include: "workflow/rules/background.smk"
include: "workflow/rules/die360.smk"
include: "workflow/rules/fundus.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/fundus_figures.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/saliency.smk"
include: "workflow/rules/labeler.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/die360_figures.smk"
include: "workflow/rules/methods.smk"
include: "workflow/rules/exemplars.smk"
include: "workflow/rules/map_quality.smk"
