"""Figure 4.14: an optic disc detector."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.14"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
