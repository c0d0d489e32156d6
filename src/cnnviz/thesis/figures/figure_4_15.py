"""Figure 4.15: a microaneurysm detector of the fifth pooling layer."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.15"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
