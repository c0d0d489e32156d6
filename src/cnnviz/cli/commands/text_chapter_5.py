"""Numbers in the text of chapter 5 that concern Die360."""

from cnnviz.cli.commands import arguments


def add_arguments(parser):
    arguments.add_images(parser)
    arguments.add_evaluations(parser)
    arguments.add_reported(parser, "text_chapter_5")
    arguments.add_output(parser, "CSV file of reproduced numbers to write")


def run(args):
    from cnnviz.datasets import die360
    from cnnviz.thesis.tables import text_chapter_5

    data = die360.load(args.images)
    which = (args.evaluations, args.networks, args.folds)
    text_chapter_5.make(args.output, data, which, args.reported)
