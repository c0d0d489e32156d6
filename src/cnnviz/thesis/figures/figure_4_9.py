"""Figure 4.9: hard exudates confused with the optic disc."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.9"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
