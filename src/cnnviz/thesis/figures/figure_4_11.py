"""Figure 4.11: a detector of glare spots."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.11"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
