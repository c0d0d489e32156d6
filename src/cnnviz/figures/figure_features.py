"""A page for every feature of De Fauw's pooling layers, as in Figures 4.8 to 4.21."""
import pandas as pd
from tqdm import tqdm

from cnnviz.figures import fundus_sheet, style

add_arguments = fundus_sheet.add_arguments


def run(args):
    roles = pd.read_csv(args.roles, keep_default_na=False)
    features = pd.read_csv(args.features)
    for name in tqdm(roles["figure"], unit=" pages"):
        blocks = fundus_sheet.read(name, args.sheets, roles, features)
        style.save(fundus_sheet.draw(blocks), args.output / name, (".png",))
