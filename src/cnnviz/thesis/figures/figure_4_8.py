"""Figure 4.8: a microaneurysm detector of the fourth pooling layer."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.8"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
