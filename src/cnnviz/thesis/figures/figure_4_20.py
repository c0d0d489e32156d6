"""Figure 4.20: a blood vessel detector of the fifth pooling layer."""

from cnnviz.thesis.figures import fundus_sheet

FIGURE = "4.20"
add_arguments = fundus_sheet.add_arguments


def run(args):
    fundus_sheet.run(args, FIGURE)
