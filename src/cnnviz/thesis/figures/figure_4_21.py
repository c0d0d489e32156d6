"""Figure 4.21: a feature that is hard to name but indicates disease."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.21"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
