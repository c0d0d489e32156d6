"""Figure 4.24: an ascent towards an exemplar of a microaneurysm feature, step by step."""

from cnnviz.thesis.figures import exemplar_sheet as sheet
from cnnviz.thesis.figures import style

ROLE = "microaneurysm"

add_arguments = sheet.add_arguments


def run(args):
    found, settings = sheet.read(args)
    style.save(sheet.draw_iterates(found[ROLE], settings), args.output)
