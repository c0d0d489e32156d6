"""Figure 4.18: a detector of clusters of haemorrhages."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.18"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
