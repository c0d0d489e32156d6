"""Figure 5.4: saliency of the features of the second pooling layers.

Every feature of every network that has one, on the same six views.  The groups
are measured, not judged: a feature belongs to the part of the picture on which
the saliency of max(F) exceeds chance most, over a sample of the whole data set.
"""

from cnnviz.thesis.figures import saliency_sheet

LAYER = "pool2"
add_arguments = saliency_sheet.add_arguments


def run(args):
    saliency_sheet.run(args, LAYER)
