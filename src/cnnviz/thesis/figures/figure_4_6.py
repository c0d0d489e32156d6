"""Figure 4.6: features of the second pooling layer, trained and random."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.6"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
