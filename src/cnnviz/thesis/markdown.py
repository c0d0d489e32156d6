"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

__all__ = ["row", "table", "text"]


def row(cells: Iterable[object]) -> str:
    """One line of a table; cells are written as they are."""
    return f"| {' | '.join(map(str, cells))} |"


def table(head: Sequence[object], rows: Iterable[Iterable[object]]) -> list[str]:
    """Lines of a table.

    Not padded to columns of one width, so that a changed cell changes one line only.

    Parameters
    ----------
    head : sequence
        Names of the columns.
    rows : iterable of iterables
        Cells, one for each column.

    Raises
    ------
    ValueError
        For a row of another length than the head.
    """
    lines = [row(head), "|" + "---|" * len(head)]
    for cells in map(list, rows):
        if len(cells) != len(head):
            raise ValueError(f"{len(cells)} cells below {len(head)} heads: {cells}")
        lines.append(row(cells))
    return lines


def text(head: Sequence[object], rows: Iterable[Iterable[object]]) -> str:
    """The lines of :func:`table`, each ended."""
    return "".join(f"{line}\n" for line in table(head, rows))
