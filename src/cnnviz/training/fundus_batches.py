"""Batches that De Fauw's network is trained on: streams of pictures in eye pairs.

A stream is a function from a step's number to a batch; every batch follows from
its number, so that training goes on after an interruption exactly where it was.
"""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.datasets import synthetic
from cnnviz.networks.defauw import GRADES
from cnnviz.training.augmentation import augment

if TYPE_CHECKING:
    from cnnviz.datasets.synthetic_scene import Scene

__all__ = [
    "Batch",
    "drawn_ahead",
    "mixed_stream",
    "narrow_stream",
    "pairs_stream",
    "photographs_stream",
    "plainness",
    "validation_pairs",
]


@dataclass(frozen=True)
class Batch:
    """Pictures in eye pairs, as the network takes them."""

    pixels: np.ndarray  #: ``(n, 3, size, size)`` float32
    dimensions: np.ndarray  #: ``(n, 2)`` float32
    grades: np.ndarray  #: ``(n,)``


def _batch(rows: Sequence[tuple[np.ndarray, np.ndarray, int]]) -> Batch:
    pixels, dimensions, grades = zip(*rows)
    return Batch(np.stack(pixels), np.stack(dimensions).astype(np.float32), np.array(grades))


def plainness(step: int, steps: int, first: float) -> float:
    """How much stronger lesions may be drawn than they are, at a step.

    Falls from ``first`` to 1 over the first half of the stage: lessons begin
    with lesions that are hard to miss.
    """
    return first + (1 - first) * min(1.0, 2 * step / steps)


def _plain(scene: Scene, rng: np.random.Generator, most: float) -> Scene:
    """The scene with lesions up to ``most`` times as strong."""
    strength = np.exp(rng.uniform(0, np.log(most)))
    colors = np.where(scene.kinds[:, None] >= 0, strength, 1) * scene.colors
    return dataclasses.replace(scene, colors=colors)


def pairs_stream(
    seed: int, batch_size: int, shares: np.ndarray, plain: Any = lambda step: 1.0
) -> Any:
    """Synthetic eye pairs, every one drawn anew.

    Parameters
    ----------
    seed : int
    batch_size : int
        Even.
    shares : float array, ``(5,)``
        Probabilities of the grades of the first eye.
    plain : function from int to float
        How much stronger lesions may be drawn at a step; see :func:`plainness`.

    Returns
    -------
    function from int to Batch
    """

    def draw(step):
        rows = []
        for k in range(batch_size // 2):
            rng = np.random.default_rng([seed, step, k])
            for scene in synthetic.pair(int(rng.integers(2**62)), shares):
                scene = _plain(scene, rng, plain(step))
                picture, _ = synthetic.prepared(scene)
                rows.append((augment(rng, picture), synthetic.dimensions(scene), scene.grade))
        return _batch(rows)

    return draw


def narrow_stream(
    seed: int,
    batch_size: int,
    shares: Sequence[float] | np.ndarray,
    size: int,
    plain: Callable[..., Any] = lambda step: 1.0,
    views: int = 4,
) -> Callable[..., Any]:
    """Narrow-field pictures of synthetic eyes: the first lessons.

    ``views`` pictures of every eye; parameters otherwise as for
    :func:`pairs_stream`.
    """

    def draw(step):
        rows = []
        for k in range(-(-batch_size // (2 * views))):
            rng = np.random.default_rng([seed, step, k])
            pair = [
                _plain(scene, rng, plain(step))
                for scene in synthetic.pair(int(rng.integers(2**62)), shares)
            ]
            for _ in range(views):
                for scene in pair:
                    picture, grade = synthetic.narrow(scene, rng, size)
                    rows.append((augment(rng, picture), synthetic.dimensions(scene), grade))
        return _batch(rows[:batch_size])

    return draw


def photographs_stream(
    seed: int,
    batch_size: int,
    pictures: np.ndarray,
    dimensions: np.ndarray,
    grades: np.ndarray,
    shares: np.ndarray | None = None,
) -> Callable[..., Any]:
    """Single photographs in pairs of the same grade.

    Of single photographs no patient's other eye is known; since both eyes
    mostly have the same grade, another photograph of that grade takes its
    place.

    Parameters
    ----------
    seed, batch_size : int
    pictures : uint8 array, ``(n, 512, 512, 3)``
    dimensions : float array, ``(n, 2)``
    grades : int array, ``(n,)``
    shares : float array, ``(5,)``, optional
        Probabilities of the grades, as far as there are any photographs of
        them; all the same when None.
    """
    members = [np.flatnonzero(grades == grade) for grade in range(GRADES)]
    weights = np.ones(GRADES) if shares is None else np.asarray(shares, float)
    weights = weights * [len(member) > 0 for member in members]
    weights = weights / weights.sum()

    def draw(step):
        rng = np.random.default_rng([seed, step])
        chosen = np.concatenate(
            [rng.choice(members[rng.choice(GRADES, p=weights)], 2) for _ in range(batch_size // 2)]
        )
        return _batch(
            [(augment(rng, pictures[index]), dimensions[index], grades[index]) for index in chosen]
        )

    return draw


def mixed_stream(streams: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """A batch of every stream, side by side."""

    def draw(step):
        parts = [stream(step) for stream in streams]
        return Batch(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("pixels", "dimensions", "grades")
            )
        )

    return draw


def validation_pairs(seed: int, count: Any, shares: Any) -> Any:
    """Held-out synthetic pairs, without augmentation.

    Returns
    -------
    pictures uint8 ``(2 count, 512, 512, 3)``, dimensions, grades
    """
    pictures, dimensions, grades = [], [], []
    for k in range(count):
        for scene in synthetic.pair([seed, k], shares):
            pictures.append(synthetic.prepared(scene)[0])
            dimensions.append(synthetic.dimensions(scene))
            grades.append(scene.grade)
    return np.stack(pictures), np.stack(dimensions), np.array(grades)


def drawn_ahead(draw: Callable[..., Any], first: int, last: int, depth: int = 2) -> Iterator[Batch]:
    """Batches ``first`` to ``last - 1``, drawn by a thread ahead of their use."""
    waiting = queue.Queue(depth)
    stop = threading.Event()

    def put(item):
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    def work():
        try:
            for step in range(first, last):
                if stop.is_set():
                    return
                put(draw(step))
        except BaseException as error:  # handed on to the thread that waits
            put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        for _ in range(first, last):
            item = waiting.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
