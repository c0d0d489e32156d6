"""Figure 4.19: a feature that is not easy to understand."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.19"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
