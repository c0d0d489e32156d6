"""What a saliency map points at, on masks whose answer is known."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.datasets import die360
from cnnviz.evaluation import die_concepts


def halves():
    """Two concepts: the left quarter and the rest of a 4x4 picture."""
    masks = np.zeros((2, 1, 4, 4), bool)
    masks[0, :, :, 0] = True
    masks[1] = ~masks[0]
    return masks


def test_concepts_cover_every_pixel_once():
    region = die360.regions(*(column[::997] for column in die360.angles()[:2]))
    masks = die_concepts.concept_masks(region)
    assert len(masks) == len(die_concepts.CONCEPTS)
    assert (masks.sum(axis=0) == 1).all()
    assert all(mask.any() for mask in masks)


def test_all_saliency_on_a_quarter_is_four_times_chance():
    saliency = np.zeros((1, 4, 4))
    saliency[0, :, 0] = 3
    np.testing.assert_allclose(die_concepts.concept_lift(saliency, halves()), [4, 0])


def test_even_saliency_is_chance():
    np.testing.assert_allclose(die_concepts.concept_lift(np.ones((1, 4, 4)), halves()), [1, 1])


def test_negative_saliency_does_not_count():
    saliency = -np.ones((1, 4, 4))
    saliency[0, 0, 0] = 1
    np.testing.assert_allclose(die_concepts.concept_lift(saliency, halves()), [4, 0])


def test_silent_maps_do_not_count_and_only_silent_maps_give_nan():
    masks = np.repeat(halves(), 2, axis=1)
    saliency = np.zeros((2, 4, 4))
    assert np.isnan(die_concepts.concept_lift(saliency, masks)).all()
    saliency[1, :, 0] = 1
    np.testing.assert_allclose(die_concepts.concept_lift(saliency, masks), [4, 0])


def test_an_absent_concept_is_nan():
    masks = np.stack([np.ones((1, 4, 4), bool), np.zeros((1, 4, 4), bool)])
    found = die_concepts.concept_lift(np.ones((1, 4, 4)), masks)
    assert found[0] == 1 and np.isnan(found[1])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_each_map_counts_the_same_however_strong(seed, factor):
    rng = np.random.RandomState(seed)
    saliency, region = rng.randn(3, 5, 5), rng.randint(0, 2, (3, 5, 5))
    masks = np.stack([region == 0, region == 1])
    weighted = saliency.copy()
    weighted[1] *= factor
    np.testing.assert_allclose(
        die_concepts.concept_lift(weighted, masks), die_concepts.concept_lift(saliency, masks)
    )
