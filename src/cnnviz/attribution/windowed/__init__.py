"""Exact evaluation on windows: only what an occluder or a neuron can reach.

The gradient of a neuron lives in its receptive field; an occluder changes
only what lies in its forward cone, and of that only the neuron's backward
cone matters.  The activations of the original image are kept; windows of
fixed sizes are cut from them, batched over positions, features and images,
and run through the layers' own expressions (thesis sections 3.2.1, 3.2.2).

* :mod:`~cnnviz.attribution.windowed.windows`: which window of every map is needed.
* :mod:`~cnnviz.attribution.windowed.stack`: the layers, in blocks, and what is kept.
* :mod:`~cnnviz.attribution.windowed.forward`: occluded windows, forwards.
* :mod:`~cnnviz.attribution.windowed.backward`: gradients, backwards.
* :mod:`~cnnviz.attribution.windowed.sweep`: those of many features of many images.
* :mod:`~cnnviz.attribution.windowed.trust`: what must hold before windows are used, measured.
* :mod:`~cnnviz.attribution.windowed.cost`: when preparing windows pays.
"""

from cnnviz.attribution.windowed.stack import NotLocal, Stack, local_prefix
from cnnviz.attribution.windowed.trust import trusted_stack

__all__ = ["NotLocal", "Stack", "local_prefix", "trusted_stack"]
