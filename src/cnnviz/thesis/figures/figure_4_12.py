"""Figure 4.12: a feature that detects several signs of retinopathy."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.12"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
