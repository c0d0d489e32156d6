"""Our measures of maps beside those of Quantus (Hedström et al. 2023), where installed.

Quantus 0.6.0 differs from ours in these points, which the tests avoid or show:

* pointing game: where maxima tie, one hit is enough, where ours gives the share of them
  that hits; for an empty mask it gives a hit, ours NaN; there is no tolerance;
* relevance mass: negative saliency is added up with the rest, where ours counts as zero;
* relevance rank: ties in the order of the sorting, where ours gives the mean over orders;
* pixel flipping: the curve begins after the first step, and its area is in steps and in
  units of the score; ours begins with the image and is normalized.
"""

import numpy as np
import pytest

from cnnviz.evaluation import faithfulness, localization

quantus = pytest.importorskip("quantus")
torch = pytest.importorskip("torch")

SHAPE, COUNT = (9, 11), 40


@pytest.fixture
def case(rng):
    """Maps without ties, of both signs, and masks that are never empty."""
    maps = rng.permutation(np.arange(COUNT * SHAPE[0] * SHAPE[1]) - 1000.5)
    masks = rng.rand(COUNT, *SHAPE) < 0.3
    masks[:, 0, 0] = True
    return maps.reshape(COUNT, *SHAPE), masks


def theirs(measure, maps, masks, **options):
    """A measure of Quantus for every map; it asks for images and labels, too."""
    compute = measure(disable_warnings=True, normalise=False, **options)
    images = np.zeros((len(maps), 1, *maps.shape[1:]))
    return np.array(
        compute(
            model=None,
            x_batch=images,
            y_batch=np.zeros(len(maps), int),
            channel_first=True,
            a_batch=maps[:, np.newaxis],
            s_batch=masks[:, np.newaxis],
        ),
        float,
    )


def test_pointing_game_is_equal_without_ties(case):
    maps, masks = case
    ours = localization.pointing_game(maps, masks)
    assert 0 < ours.mean() < 1
    np.testing.assert_array_equal(ours, theirs(quantus.PointingGame, maps, masks))


def test_of_tied_maxima_quantus_counts_one_hit_and_for_no_mask_too():
    maps, masks = np.array([[[1.0, 1, 0]]]), np.array([[[True, False, False]]])
    assert localization.pointing_game(maps, masks) == 0.5
    assert theirs(quantus.PointingGame, maps, masks) == 1
    assert np.isnan(localization.pointing_game(maps, masks & False))
    assert theirs(quantus.PointingGame, maps, masks & False) == 1


def test_relevance_mass_is_equal_of_magnitudes(case):
    maps, masks = case
    np.testing.assert_allclose(
        localization.relevance_mass(np.abs(maps), masks),
        theirs(quantus.RelevanceMassAccuracy, maps, masks, abs=True),
        rtol=1e-12,
    )


def test_negative_saliency_counts_in_quantus_mass_only():
    maps, masks = np.array([[[3.0, 1, -2]]]), np.array([[[True, False, False]]])
    assert localization.relevance_mass(maps, masks) == 3 / 4
    assert theirs(quantus.RelevanceMassAccuracy, maps, masks, abs=False) == 3 / 2


def test_relevance_rank_is_equal_without_ties(case):
    maps, masks = case
    np.testing.assert_allclose(
        localization.relevance_rank(maps, masks),
        theirs(quantus.RelevanceRankAccuracy, maps, masks, abs=False),
        rtol=1e-12,
    )


def test_deletion_is_pixel_flipping(case, rng):
    """Of a non-linear network: each step deletes the same pixels."""
    maps = case[0][:3, :8, :10]
    images = rng.randn(3, 1, 8, 10).astype(np.float32)
    network = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(80, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2)
    ).eval()
    flipping = quantus.PixelFlipping(
        features_in_step=8,
        perturb_baseline=0.0,
        normalise=False,
        abs=False,
        return_auc_per_sample=False,
        disable_warnings=True,
    )
    curves = np.array(
        flipping(
            model=network,
            x_batch=images,
            y_batch=np.ones(3, int),
            channel_first=True,
            a_batch=maps[:, np.newaxis],
            softmax=False,
            device="cpu",
        )
    )

    def score(changed):
        with torch.no_grad():
            return network(torch.from_numpy(changed)).numpy()[:, 1]

    ours = faithfulness.deletion_insertion(score, images, maps, steps=10)
    np.testing.assert_allclose(ours.deletion[:, 1:], curves, atol=1e-6)
