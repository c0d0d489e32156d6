"""What rules share: the plan of the run, and what needs Snakemake's own objects."""
import os

from cnnviz.datasets import external
from cnnviz.experiments.fundus_stages import STAGES as FUNDUS_STAGES, WITH_PHOTOGRAPHS
from cnnviz.runtime import configuration, paths
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.paths import sheet_name
from cnnviz.thesis.plan import BACKGROUND, EXEMPLARS, TWINS, Plan, shipped
from snakemake.exceptions import WorkflowError

# One thread each: the jobs themselves run side by side.
ONE_THREAD = "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1"
# Documents the software of every rule; made by hand, not by snakemake.
ENVIRONMENT = str(paths.REPOSITORY / "environment.yml")
REPORTED = [shipped(path) for path in sorted(paths.REPORTED_TABLES.glob("*.csv"))]


def planned():
    """The plan, or one line for each mistake in the configuration."""
    problems = configuration.problems(config)
    if problems:
        raise WorkflowError("the configuration has mistakes:\n  " + "\n  ".join(problems))
    try:
        return Plan(config, external.mirror(config["fundus"]["mirror"]))
    except (UserError, FileNotFoundError) as error:
        raise WorkflowError(str(error)) from None


plan = planned()


def reported(name):
    """The thesis's numbers of one table or chapter."""
    return shipped(paths.REPORTED_TABLES / f"{name}.csv")


def reported_figure(stem, category="Chapter 5"):
    """A figure's files, the PNG one with its caption in the report."""
    png, pdf = plan.figure(stem)
    return [report(png, caption=f"../report/{stem}.rst", category=category), pdf]


def photographs_of(source):
    """Prepared photographs: the table of records, written last, tells how old they are.

    Their pixels are too large to be compared by checksums, which is how a copied run
    finds that nothing has changed.
    """
    return [ancient(path) if path.suffix == ".npy" else path
            for path in plan.prepared(source).values()]


def stage_photographs(wildcards):
    """Real photographs that a stage of the training needs."""
    return photographs_of("idrid") if wildcards.stage in WITH_PHOTOGRAPHS else []


def prepared_photographs(wildcards):
    """Files of the prepared photographs that a network is tried on."""
    return photographs_of(wildcards.source)
