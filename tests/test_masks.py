"""Masks of any kind of numbers mean the same wherever masks are taken."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from cnnviz.datasets import concepts, lesion_statistics, masks
from cnnviz.dissection.localization import Chance, localization
from cnnviz.dissection.placements import ConceptMasks
from cnnviz.evaluation import localization as measures
from cnnviz.runtime.errors import UserError

rng = np.random.RandomState(2)
MARKED = rng.rand(2, 12, 14) < 0.3
MARKED[:, 2:6, 3:8] = True
MAPS = rng.randn(2, 12, 14)
FORMS = {
    "0 and 255": lambda mask: np.uint8(255 * mask),
    "0 and 1": lambda mask: mask * 1,
    "labels": lambda mask: (mask * rng.randint(1, 99, mask.shape)).astype(np.int32),
    "lists": lambda mask: mask.tolist(),
    "tensors": torch.from_numpy,
}
PHOTOGRAPH = np.uint8(rng.randint(60, 200, (12, 14, 3)))
FIELD = np.ones((12, 14), bool)


def listed(rows):
    return [tuple(row.values()) for row in rows]


#: What takes masks ``(2, 12, 14)``, and gives numbers.
TAKERS = {
    "pointing game": lambda each: measures.pointing_game(MAPS, each),
    "tolerance": lambda each: measures.pointing_game(MAPS, each, tolerance=2),
    "relevance mass": lambda each: measures.relevance_mass(MAPS, each),
    "relevance rank": lambda each: measures.relevance_rank(MAPS, each),
    "area share": lambda each: measures.area_share(each),
    "region": lambda each: measures.relevance_mass(MAPS, MARKED[::-1], each),
    "grown": lambda each: measures.dilate(each[0], 1),
    "index map": lambda each: concepts.index_map(dict(zip(concepts.LESIONS, each))),
    "edge": lambda each: concepts.edge(each[0], 2),
    "concepts": lambda each: ConceptMasks(each).masks,
    "field": lambda each: ConceptMasks(MARKED, np.asarray(each[0])).field,
    "localization": lambda each: localization(MAPS, [each, each], chance=Chance(9)).shares,
    "lesions": lambda each: listed(
        lesion_statistics.lesions(PHOTOGRAPH, {"hemorrhage": each[0], "microaneurysm": each[1]})
    ),
}
#: Of these, those that take shares of pixels too.
SHARES = ("index map", "concepts", "localization")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("taker", TAKERS)
def test_masks_of_whole_numbers_are_masks(taker, form):
    found, expected = (TAKERS[taker](mask) for mask in (FORMS[form](MARKED), MARKED))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "bad",
    [
        np.where(MARKED, 255.0, 0),
        np.where(MARKED, np.nan, 0),
        MARKED - 0.5,
        MARKED * -1,
        MARKED * 1j,
    ],
)
@pytest.mark.parametrize("taker", TAKERS)
def test_masks_that_mean_nothing_are_refused(taker, bad):
    with pytest.raises(UserError, match="mask|field|regions") as error:
        TAKERS[taker](bad)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("taker", sorted(set(TAKERS) - set(SHARES)))
def test_shares_are_refused_where_pixels_are_marked_whole(taker):
    with pytest.raises(UserError, match="bool"):
        TAKERS[taker](MARKED * 0.5)


def test_masks_of_one_map_have_one_shape():
    with pytest.raises(UserError, match="mask 'hemorrhage' has shape"):
        concepts.index_map({"microaneurysm": MARKED[0], "hemorrhage": MARKED[0, 1:]})


@given(
    arrays_of.arrays(
        st.sampled_from([np.uint8, np.int16, np.int64, np.uint64, bool]),
        arrays_of.array_shapes(max_dims=3, min_side=0),
        elements=st.integers(0, 1),
    )
)
def test_any_number_above_0_marks(mask):
    for read in (masks.marked, masks.shares):
        found = read(mask)
        assert found.dtype == bool and found.shape == mask.shape
        np.testing.assert_array_equal(found, mask > 0)


@given(
    arrays_of.arrays(
        st.sampled_from([np.float32, np.float64]), (3, 4), elements=st.floats(0, 1, width=32)
    )
)
def test_shares_stay_as_they_are(mask):
    np.testing.assert_array_equal(masks.shares(mask), mask)
    assert masks.shares(np.append(mask, 1 + 1e-6)).max() <= 1  # of rounding
