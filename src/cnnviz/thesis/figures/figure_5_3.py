"""Figure 5.3: saliency of the features of the first pooling layers.

Every feature of every convolutional network on the same six views.  The groups
are measured, not judged: a feature belongs to the part of the picture on which
the saliency of max(F) exceeds chance most, over a sample of the whole data set.
"""

from cnnviz.thesis.figures import saliency_sheet

LAYER = "pool1"
add_arguments = saliency_sheet.add_arguments


def run(args):
    saliency_sheet.run(args, LAYER)
