"""Figure 4.5: features of the first pooling layer, trained and random."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.5"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
