"""The part of :mod:`.labeler_validation` that is on the die."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from scipy import stats

from cnnviz.dissection.label_statistics import agreement
from cnnviz.dissection.labels import MARGIN, MIXTURE, OTHER
from cnnviz.dissection.network_dissection import LEAST_OVERLAP, TOP_SHARE
from cnnviz.dissection.validation_die import SPACING, DieFeature, Steps
from cnnviz.evaluation.die_concepts import CONCEPTS as DIE_CONCEPTS
from cnnviz.experiments.labeler_validation import Validation
from cnnviz.runtime.number_format import fixed
from cnnviz.thesis import markdown

__all__ = ["statements", "text", "yes"]

Place = tuple[str, str, int]  # network, layer, feature
Names = Mapping[Place, str]  # the concept that features are named after
Points = Mapping[Place, tuple[str, ...]]  # concepts that features point at
Answer = tuple[bool, str] | None  # with evidence; None without the networks it takes
#: Statement, answer by labels, by figures, folds with yes, folds.
Statement = tuple[str, Answer, Answer, int, int]

_NAMES = (*DIE_CONCEPTS, MIXTURE, OTHER)

_DIE = """\

## 3. The die

Every feature of every pooling layer of {networks}, {folds} trained networks each and as
many with random weights. Views: {views} that stand {spacing} degrees apart, of which
{different} show different pictures of a face; of twins only the stronger counts. Saliency
is smoothed as for the overlays (standard deviation 1 pixel). Masks are exact.

"""

_FIGURES = """\

### Against the measure of Figures 5.3 and 5.4

There, a feature belongs to the concept with the largest share of its positive saliency
over the concept's share of the area, on many views, however little they excite it
(`cnnviz saliency`). One change at a time leads from that measure to the label; {count}
features of fold 0.

"""

_TRUST = """\

Rows: name in Figures 5.3 and 5.4; columns: label. Where the label names one concept,
{same} of {named} agree (kappa {kappa}); of {mixtures} mixtures {inside} contain the
figure's concept.

"""

_REACH = """
Out of reach: a concept on which more than 1/{margin:g} of the saliency is expected by
chance cannot be exceeded {margin:g}-fold; of the trained features this is so for
{unreachable}. By overlap, {top:.1%} of the activations can reach {overlap:g} only on \
concepts on less
than {widest:.1%} of the pixels.
"""

_STATEMENTS = """\

### The thesis on these features (section 5.4)

Answered by what features of fold 0 point at (beat chance on), by the measure of Figures
5.3 and 5.4, and in how many folds the former says yes. Evidence: features that point at
spots (pips) alone; or at nothing but background and edge, of all.

"""
_STATEMENTS_HEAD = ("statement", "features", "evidence", "Figures 5.3/5.4", "evidence", "folds")


def yes(value: bool) -> str:
    return "yes" if value else "**no**"


def text(validation: Validation, figures: Names) -> str:
    """The part on the die.

    Parameters
    ----------
    validation : cnnviz.experiments.labeler_validation.Validation
    figures : dict
        From (network, layer, feature) to the concept that Figures 5.3 and 5.4 name.
    """
    rows, steps = validation.die, validation.steps
    networks = list(dict.fromkeys(row.network for row in rows))
    folds = len({row.fold for row in rows})
    trained = {
        (row.network, row.layer, row.feature): row
        for row in rows
        if row.weights == "trained" and row.fold == 0
    }
    return "".join(
        [
            _DIE.format(
                networks=", ".join(networks),
                folds=folds,
                views=validation.views,
                different=validation.different,
                spacing=SPACING,
            ),
            markdown.text(["weights", "features", *_NAMES], _weights_rows(rows)),
            _weights_verdict(rows),
            _FIGURES.format(count=len(trained)),
            markdown.text(
                ["names", "same as Figure 5.3/5.4", "Cohen's kappa"],
                _step_rows(trained, steps, figures),
            ),
            _trust(trained, figures),
            markdown.text(["", *_NAMES], _matrix(trained, figures)),
            _reach(rows),
            _STATEMENTS,
            markdown.text(_STATEMENTS_HEAD, map(_statement_row, statements(rows, figures))),
        ]
    )


def _weights_rows(rows: Sequence[DieFeature]) -> Iterator[list[object]]:
    for kind in ("trained", "random"):
        labels = [row.label for row in rows if row.weights == kind]
        counts = Counter(labels)
        yield [kind, len(labels), *(counts[name] for name in _NAMES)]


def _weights_verdict(rows: Sequence[DieFeature]) -> str:
    by_kind = [[row for row in rows if row.weights == kind] for kind in ("random", "trained")]
    something = [sum(row.label != OTHER for row in each) for each in by_kind]
    pips = [sum("pip" in row.points for row in each) for each in by_kind]
    counts = [len(each) for each in by_kind]
    return (
        f"\n**Fewer features of random networks point at something: "
        f"{_fewer(something, counts)}; fewer point at pips: {_fewer(pips, counts)}.** "
        "Said where Fisher's exact test has p < 0.05, one-sided, as if features of one "
        "network were independent. A label says what excites a feature, not that this "
        "was learned.\n"
    )


def _fewer(pointing: Sequence[int], counts: Sequence[int]) -> str:
    """Whether the first count is a smaller share than the second one."""
    table = [[each, count - each] for each, count in zip(pointing, counts)]
    p = stats.fisher_exact(table, "less").pvalue
    return f"{yes(p < 0.05).strip('*')} ({pointing[0]}, trained {pointing[1]}; p = {p:.2g})"


def _step_rows(
    trained: Mapping[Place, DieFeature], steps: Mapping[Place, Steps], figures: Names
) -> Iterator[list[str]]:
    by_figure = [figures[place] for place in trained]
    names = {
        "on the strongest views instead of all": [steps[k].positive for k in trained],
        "and of the magnitude of the gradient": [steps[k].magnitude for k in trained],
        "and against the same at other places": [row.largest for row in trained.values()],
        "and the label: margin, least share, p-value": [row.label for row in trained.values()],
        "largest overlap": [steps[k].most for k in trained],
        "label by overlap": [steps[k].overlap for k in trained],
    }
    for name, labels in names.items():
        share, kappa = agreement(labels, by_figure)
        yield [name, f"{share:.0%}", fixed(kappa)]


def _trust(trained: Mapping[Place, DieFeature], figures: Names) -> str:
    named = [place for place, row in trained.items() if row.label in DIE_CONCEPTS]
    mixed = [place for place, row in trained.items() if row.label == MIXTURE]
    labels, names = [trained[k].label for k in named], [figures[k] for k in named]
    kappa = agreement(labels, names)[1] if named else np.nan
    return _TRUST.format(
        same=sum(map(str.__eq__, labels, names)),
        named=len(named),
        kappa=fixed(kappa),
        mixtures=len(mixed),
        inside=sum(figures[k] in trained[k].points for k in mixed),
    )


def _matrix(trained: Mapping[Place, DieFeature], figures: Names) -> Iterator[list[object]]:
    counts = Counter((figures[place], row.label) for place, row in trained.items())
    for name in (*DIE_CONCEPTS, OTHER):
        if any(figure == name for figure, _ in counts):
            yield [f"**{name}**", *(counts[name, label] for label in _NAMES)]


def _reach(rows: Sequence[DieFeature]) -> str:
    expected = np.array([row.expected for row in rows if row.weights == "trained"])
    share = np.mean(expected * MARGIN > 1, axis=0)
    unreachable = [f"{name} {value:.0%}" for name, value in zip(DIE_CONCEPTS, share) if value]
    return _REACH.format(
        margin=MARGIN,
        overlap=LEAST_OVERLAP,
        top=TOP_SHARE,
        widest=TOP_SHARE / LEAST_OVERLAP,
        unreachable=", ".join(unreachable) or "no concept",
    )


# --- What the thesis says ---------------------------------------------------


def _spots(points: Points, layer: str) -> dict[str, int]:
    """Features that point at pips alone by network, of those that have the layer."""
    counts: dict[str, int] = {}
    for (network, where, _), concepts in points.items():
        if where == layer:
            counts[network] = counts.get(network, 0) + (set(concepts) == {"pip"})
    return counts


def _only_c9(points: Points) -> Answer:
    spots = _spots(points, "pool1")
    if not {"c9"} < set(spots):
        return None
    return spots["c9"] > 0 and sum(spots.values()) == spots["c9"], _counted(spots)


def _c4_not_c9(points: Points) -> Answer:
    spots = _spots(points, "pool2")
    if not {"c4", "c9"} <= set(spots):
        return None
    return spots["c4"] > 0 and spots["c9"] == 0, _counted(spots)


def _mostly(layer: str) -> Callable[[Points], Answer]:
    def answer(points: Points) -> Answer:
        found = [
            bool(concepts) and set(concepts) <= {"background", "edge"}
            for (_, where, _), concepts in points.items()
            if where == layer
        ]
        return (bool(np.mean(found) > 0.5), f"{sum(found)} of {len(found)}") if found else None

    return answer


def _counted(spots: Mapping[str, int]) -> str:
    return ", ".join(f"{network}: {count}" for network, count in spots.items())


_SAID = {
    'pool1: "Only the c9 network recognizes spots directly"': _only_c9,
    'pool2: "the c4 network recognizes spots directly, while the c9 network no longer '
    'does"': _c4_not_c9,
    'pool1: "Most features are either recognizing the background, or the edge of the die '
    'face"': _mostly("pool1"),
    'pool2: "still seem mostly focused on background or edge"': _mostly("pool2"),
}


def statements(rows: Sequence[DieFeature], figures: Names) -> list[Statement]:
    """The thesis's statements, answered by labels and by the figures' measure.

    Parameters
    ----------
    rows : list of cnnviz.dissection.validation_die.DieFeature
    figures : dict
        From (network, layer, feature) to a concept.

    Returns
    -------
    list of (statement, answer by labels, by figures, folds with yes, folds)
        An answer is (yes or no, evidence), or None without the networks it takes.
    """
    folds = sorted({row.fold for row in rows})
    points = [
        {
            (row.network, row.layer, row.feature): row.points
            for row in rows
            if row.weights == "trained" and row.fold == fold
        }
        for fold in folds
    ]
    by_figure = {place: (name,) for place, name in figures.items()}
    answers = []
    for statement, answer in _SAID.items():
        by_fold = [answer(point) for point in points]
        answers.append(
            (
                statement,
                by_fold[0],
                answer(by_figure),
                sum(bool(each and each[0]) for each in by_fold),
                len(folds),
            )
        )
    return answers


def _statement_row(answered: Statement) -> list[str]:
    statement, labels, figures, agreeing, folds = answered
    if labels is None or figures is None:
        return [statement, *["–", "networks missing"] * 2, "–"]
    answers = [cell for holds, evidence in (labels, figures) for cell in (yes(holds), evidence)]
    return [statement, *answers, f"{agreeing} of {folds}"]
