"""Figure 4.13: a feature that detects an image artefact."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.13"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
