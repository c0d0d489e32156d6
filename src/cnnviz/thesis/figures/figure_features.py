"""A page for every feature of De Fauw's pooling layers, as in Figures 4.8 to 4.21."""

from tqdm import tqdm

from cnnviz.cli.commands import arguments
from cnnviz.thesis.figures import fundus_sheet, style


def add_arguments(parser):
    fundus_sheet.add_inputs(parser)
    arguments.add_output(parser, "folder to write, with a page for each feature", "folder")


def run(args):
    roles, features = fundus_sheet.read_tables(args, {})
    for name in tqdm(roles["figure"], unit=" pages"):
        blocks = fundus_sheet.read(name, args.sheets, roles, features)
        style.save(fundus_sheet.draw(blocks), args.output / name, (".png",))
