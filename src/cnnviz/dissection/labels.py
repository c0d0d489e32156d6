"""Which concepts features point at, and the label that follows (thesis Table 4.1).

From the shares of their saliency that :mod:`cnnviz.dissection.localization` measures.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from cnnviz.dissection.checks import check_concepts
from cnnviz.runtime.errors import UserError

__all__ = [
    "LEAST_GRADIENT",
    "LEAST_SHARE",
    "MARGIN",
    "MIXTURE",
    "OTHER",
    "RATE",
    "benjamini_hochberg",
    "is_significant",
    "labels",
    "responds",
]

MARGIN = 2.0  #: times its share by chance
LEAST_SHARE = 0.05  #: of the saliency, on what a feature is named after
LEAST_GRADIENT = 0.1  #: of the layer's median, else a filter hardly learned
RATE = 0.05  #: of false discoveries among all features and concepts
MIXTURE, OTHER = "mixture", "other"


def benjamini_hochberg(p: Any) -> np.ndarray:
    """P-values adjusted for the number of tests (Benjamini and Hochberg 1995).

    Parameters
    ----------
    p : array
        All that are looked at, whatever the shape: all features of all layers and all concepts.
        NaN where nothing was tested.

    Returns
    -------
    array of the same shape
    """
    p = np.asarray(p, float)
    tested = np.isfinite(p)
    q = np.full(p.shape, np.nan)
    if tested.any():
        q[tested] = stats.false_discovery_control(p[tested])
    return q


def is_significant(
    share: Any,
    lift: Any,
    q: Any,
    margin: float = MARGIN,
    least: float = LEAST_SHARE,
    rate: float = RATE,
) -> np.ndarray:
    """Which concepts a feature points at.

    All three must hold: fewer than ``rate`` of such findings are false (``q < rate``), the
    share is ``margin`` times that of chance or more, and it is ``least`` or more of all
    saliency.

    Parameters
    ----------
    share, lift, q : arrays, ``(features, concepts)``
        From :func:`cnnviz.dissection.localization.localization` and
        :func:`benjamini_hochberg`; NaN is never significant.
    margin, least, rate : float

    Returns
    -------
    bool array, ``(features, concepts)``

    Raises
    ------
    UserError
        For arrays of different shapes.

    Notes
    -----
    A concept on which more than 1 / ``margin`` of the saliency is expected by chance is out of
    reach: the whole of it would not be ``margin`` times as much.
    """
    shapes = [np.shape(values) for values in (share, lift, q)]
    if len(set(shapes)) > 1:
        raise UserError(f"share, lift and q have shapes {shapes}; they must agree")
    return (np.asarray(q) < rate) & (np.asarray(lift) >= margin) & (np.asarray(share) >= least)


def responds(gradient: Any, least: float = LEAST_GRADIENT) -> np.ndarray:
    """Which features of a layer respond to the photographs at all.

    A filter that hardly learned looks at something as well, but what it looks at changes next
    to nothing.

    Parameters
    ----------
    gradient : array, ``(features,)``
        Magnitude, summed over pixels.
    least : float
        Of the layer's median.

    Returns
    -------
    bool array, ``(features,)``
    """
    return np.asarray(gradient) >= least * np.median(gradient)


def labels(significant: Any, concepts: Sequence[str]) -> np.ndarray:
    """Names of features by localization, as in thesis Table 4.1.

    The one concept that the feature points at; "mixture" where it points at two or more;
    "other" where at none.

    Parameters
    ----------
    significant : bool array, ``(features, concepts)``
        From :func:`is_significant`.
    concepts : sequence of str

    Returns
    -------
    object array, ``(features,)``

    Raises
    ------
    UserError
        For another number of concepts.
    """
    check_concepts(significant, concepts)
    count = significant.sum(axis=1)
    names = np.array(concepts, object)[significant.argmax(axis=1)]
    return np.where(count == 1, names, np.where(count > 1, MIXTURE, OTHER))
