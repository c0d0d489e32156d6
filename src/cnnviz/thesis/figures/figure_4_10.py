"""Figure 4.10: the fovea and haemorrhages confused."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.10"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
