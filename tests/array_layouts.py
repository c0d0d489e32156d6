"""Arrays in every layout that NumPy allows, for property tests."""

import numpy as np
from hypothesis import strategies as st


def _frozen(array):
    array = array.view()
    array.flags.writeable = False
    return array


def at_odd_address(array):
    """A copy that begins at an odd address."""
    memory = np.empty(array.nbytes + 1, np.uint8)
    copy = memory[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def in_records(array):
    """A copy whose elements are fields of records of five bytes."""
    records = np.empty(array.shape, [("flag", "u1"), ("value", array.dtype)])
    records["value"] = array
    return records["value"]


def _reversed(array, axis):
    return array if axis >= array.ndim else np.flip(array, axis)


def _thinned(array, axis):
    return array if axis >= array.ndim else np.moveaxis(np.moveaxis(array, axis, 0)[::2], 0, axis)


def _spread(array, axis):
    """All the same along an axis, which takes no memory."""
    if axis >= array.ndim or not array.shape[axis]:
        return array
    one = np.take(array, [0], axis)
    return np.broadcast_to(one, array.shape)


CHANGES = [
    np.asfortranarray,
    np.transpose,
    _frozen,
    at_odd_address,
    in_records,
    lambda array: array.astype(array.dtype.newbyteorder(">")),
    *(
        lambda array, axis=axis, change=change: change(array, axis)
        for axis in range(3)
        for change in (_reversed, _thinned, _spread)
    ),
]


@st.composite
def arrays(draw, least=0, most=3):
    """Whole numbers in float32, of so many dimensions, the layout changed several times."""
    shape = draw(st.lists(st.integers(0, 3), min_size=least, max_size=most))
    array = np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape)
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=4)):
        array = change(array)
    return array
