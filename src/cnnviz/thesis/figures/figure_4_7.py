"""Figure 4.7: features of the third pooling layer, trained and random."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.7"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
