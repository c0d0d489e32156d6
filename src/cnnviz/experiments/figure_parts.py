"""The parts that features play in the thesis's Figures 4.5 to 4.21.

Which features play them is found by measurement: :mod:`cnnviz.experiments.figure_features`.
Nothing heavy is imported here, since the workflow reads this too.
"""

from typing import NamedTuple

from cnnviz.datasets.concepts import LESIONS

__all__ = ["LAYERS", "PARTS", "Part"]

#: Pooling layers of De Fauw's network.
LAYERS = ("pool1", "pool2", "pool3", "pool4", "pool5")
_ARTIFACTS = ("text", "glare spot", "dust", "lens flare", "overexposed rim")


class Part(NamedTuple):
    """What a feature of a figure shows, and how it is found."""

    figure: str
    layer: str
    rule: str  #: a key of :data:`.figure_features.RULES`
    concepts: tuple[str, ...] = ()
    weights: str = "trained"


#: The saliency sheets, Figures 4.5 to 4.21, in the thesis's order.
PARTS = (
    Part("4.5", "pool1", "single", ("vessel",)),
    Part("4.5", "pool1", "single", ("field edge",)),
    Part("4.5", "pool1", "single", ("text",), "random"),
    Part("4.6", "pool2", "single", ("optic disc",)),
    Part("4.6", "pool2", "single", ("overexposed rim",)),
    Part("4.6", "pool2", "single", ("optic disc",), "random"),
    Part("4.7", "pool3", "single", ("glare spot",)),
    Part("4.7", "pool3", "single", ("microaneurysm",)),
    Part("4.7", "pool3", "pair", ("optic disc", "vessel")),
    Part("4.7", "pool3", "single", ("field edge",), "random"),
    Part("4.8", "pool4", "single", ("microaneurysm",)),
    Part("4.9", "pool4", "pair", ("hard exudate", "optic disc")),
    Part("4.10", "pool4", "pair", ("fovea", "hemorrhage")),
    Part("4.11", "pool4", "single", ("glare spot",)),
    Part("4.12", "pool4", "several", LESIONS),
    Part("4.13", "pool4", "any", _ARTIFACTS),
    Part("4.14", "pool4", "single", ("optic disc",)),
    Part("4.15", "pool5", "single", ("microaneurysm",)),
    Part("4.16", "pool5", "single", ("hard exudate",)),
    Part("4.17", "pool5", "single", ("hemorrhage",)),
    Part("4.18", "pool5", "cluster", ("hemorrhage",)),
    Part("4.19", "pool5", "unclear"),
    Part("4.20", "pool5", "single", ("vessel",)),
    Part("4.21", "pool5", "disease"),
)
