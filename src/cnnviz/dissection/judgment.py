"""What features point at, from where their saliency lies: one decision for all layers together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnviz.dissection import labels
from cnnviz.dissection.labeler import LocalizedLayer

__all__ = ["Judged", "judge"]


@dataclass(frozen=True)
class Judged:
    """What a layer's features point at; NaN and False for filters that hardly learned."""

    share: np.ndarray  #: ``(features, concepts)``
    lift: np.ndarray  #: ``(features, concepts)``
    q: np.ndarray  #: ``(features, concepts)``, adjusted over all layers together
    significant: np.ndarray  #: bool ``(features, concepts)``
    responds: np.ndarray  #: bool ``(features,)``; see :func:`.labels.responds`
    gradient: np.ndarray  #: ``(features,)``, over the layer's median

    def labels(self, concepts: Sequence[str]) -> np.ndarray:
        """Names of the features, object array ``(features,)``."""
        return labels.labels(self.significant, concepts)


def judge(layers: Sequence[LocalizedLayer]) -> list[Judged]:
    """What the features of layers point at.

    Parameters
    ----------
    layers : sequence of LocalizedLayer
        Among whose findings together the rate of false ones is bounded.

    Returns
    -------
    list of Judged
        Of every layer.
    """
    responds = [labels.responds(layer.gradient) for layer in layers]
    p = [_where(sure, each.p) for sure, each in zip(responds, layers)]
    q = np.split(
        labels.benjamini_hochberg(np.concatenate(p)), np.cumsum([len(each) for each in p])[:-1]
    )
    return [_judged(*each) for each in zip(layers, responds, q)]


def _where(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of these rows, NaN elsewhere."""
    return np.where(rows.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan)


def _judged(layer: LocalizedLayer, responds: np.ndarray, q: np.ndarray) -> Judged:
    share, lifted = _where(responds, layer.share), _where(responds, layer.lift)
    median = np.median(layer.gradient)
    return Judged(
        share,
        lifted,
        q,
        labels.is_significant(share, lifted, q),
        responds,
        layer.gradient / (median if median > 0 else np.nan),
    )
