"""The data statement of the rendered die, and its numbers (thesis section 5.1)."""

from pathlib import Path
from string import Template

from cnnviz.datasets import die360
from cnnviz.experiments import die_facts
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError
from cnnviz.thesis import number_tables

__all__ = ["text", "write"]

_TEMPLATE = Path(__file__).with_name("die360_statement.md")


def write(images: Path, facts: Path, statement: Path) -> None:
    """Measure the data set and write what was found, for ``cnnviz die360-facts``.

    Parameters
    ----------
    images : path
        File of ``cnnviz render`` with all views.
    facts : path
        CSV file of reproduced numbers.
    statement : path
        Markdown file.

    Raises
    ------
    MissingFileError, UserError
        For a file that is missing, damaged, or of a part of the views.
    """
    views = die360.load_views(images)
    if views.sampling_stride != 1:
        raise UserError(
            f"{images}: holds every {views.sampling_stride}-th view only; the statement is about "
            f"all of them: 'cnnviz render -o FILE' makes them"
        )
    measured = die_facts.measure(views.images)
    number_tables.write_reproduced(
        facts,
        [
            number_tables.Reproduced(f"die360.{name}", value, unit, "cnnviz die360-facts")
            for name, (value, unit) in measured.items()
        ],
    )
    files.write_text(statement, text(measured))


def text(facts: dict[str, die_facts.Fact]) -> str:
    """The statement in Markdown.

    Parameters
    ----------
    facts : dict
        From :func:`cnnviz.experiments.die_facts.measure`.
    """
    value = {name: number for name, (number, _) in facts.items()}
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        samples=f"{value['samples']:,}",
        mean=f"{value['mean']:.4f}",
        std=f"{value['standard_deviation']:.4f}",
        wrong=f"{value['labeled_face_not_most_prominent']:,}",
        wrong_share=f"{value['labeled_face_not_most_prominent'] / value['samples']:.1%}",
        wrong_b="{}–{}".format(
            *(value[f"labeled_face_not_most_prominent_{end}"] for end in ("from", "to"))
        ),
        twins=f"{value['share_with_twin_on_average']:.0%}",
        twins_everywhere=f"{value['share_with_twin_everywhere']:.0%}",
        reduction=f"{255 * value['reduction_zoom_against_blocks']:.1f}",
        nearest_random=f"{255 * value['nearest_training_picture_random']:.1f}",
        nearest_separated=f"{255 * value['nearest_training_picture_separated']:.1f}",
        background=f"{value['share_background']:.0%}",
        edge=f"{value['share_edge']:.0%}",
        pip=f"{value['share_pip']:.0%}",
        **{f"face{k}": f"{value[f'samples_of_face_{k}']:,}" for k in range(1, 7)},
    )
