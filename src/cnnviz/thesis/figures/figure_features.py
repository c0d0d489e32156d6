"""A page for every feature of De Fauw's pooling layers, as in Figures 4.8 to 4.21."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm

from cnnviz.thesis.figures import fundus_sheet, style


def make(output: Path, *, sheets: Any, roles: Any, features: Any) -> None:
    roles, features = fundus_sheet.read_tables(roles, features, {})
    for name in tqdm(roles["figure"], unit=" pages"):
        blocks = fundus_sheet.read(name, sheets, roles, features)
        style.save(fundus_sheet.draw(blocks), output / name, (".png",))
