"""Losses that Lasagne 0.1 lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.runtime.backend import T, theano

if TYPE_CHECKING:
    from theano.gof import Variable

__all__ = ["kappa_loss", "quadratic_weights"]


def quadratic_weights(grades: int) -> np.ndarray:
    """Disagreement of every pair of grades, ``(grades, grades)``, 0 to 1."""
    grade = np.arange(grades)
    return ((grade[:, None] - grade) ** 2 / (grades - 1) ** 2).astype(theano.config.floatX)


def kappa_loss(
    posteriors: Variable, targets: Variable, grades: int = 5, epsilon: float = 1e-15
) -> Variable:
    """Negative quadratic weighted kappa of soft predictions (De Fauw's loss).

    .. math:: -\\kappa = \\frac{\\sum_{ij} w_{ij} O_{ij}}
                              {\\sum_{ij} w_{ij} E_{ij}} - 1

    where O counts predictions i beside true grades j and E what independent
    predictions of the same frequencies would give (Cohen 1968).

    Parameters
    ----------
    posteriors, targets : tensor variables, ``(n, grades)``
        Rows of ``targets`` are one-hot, or soft labels that sum to one.

    Returns
    -------
    scalar variable
        -1 for perfect agreement, 0 for agreement by chance.
    """
    weights = quadratic_weights(grades)
    predicted = posteriors / (epsilon + posteriors.sum(axis=1, keepdims=True))
    count = targets.shape[0].astype(theano.config.floatX)
    observed = T.dot(predicted.T, targets)
    expected = T.outer(predicted.sum(axis=0), targets.sum(axis=0)) / count
    return (weights * observed).sum() / (weights * expected).sum() - 1
