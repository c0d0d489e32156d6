"""Small folders of photographs in the form of the competition's and of IDRiD's.

All are drawn.  That of IDRiD comes with the lists of its photographs, as the repository
has them of the real ones.
"""

import csv
import hashlib
import itertools

import numpy as np
from PIL import Image

from cnnviz.datasets import fundus, idrid, synthetic
from cnnviz.thesis.figures import eyes, figure_4_2

#: Of two pairs, an eye without its fellow, a file that is no photograph, and one that is
#: not there.
LABELS = {
    "2_left": 3,
    "2_right": 2,
    "10_left": 0,
    "10_right": 1,
    "13_left": 4,
    "15_left": 0,
    "15_right": 0,
}
DAMAGED, ABSENT = "15_left", "15_right"

_ROWS = 356  # of a reduced photograph, an eighth of IDRiD's


def _photograph(scene, rows):
    """A synthetic eye as a photograph of IDRiD's form, and its masks."""
    density = 0.49 * rows / scene.patient.half
    half = np.array([rows * idrid.SHAPE[1] / idrid.SHAPE[0], rows]) / (2 * density)
    view = eyes.Synthetic(scene).view((*-half, *half), density)
    return view.picture, view.masks


def _scenes(grades):
    """The first synthetic eye of every grade."""
    found = {}
    for patient in itertools.count():
        for side, grade in zip(fundus.SIDES, synthetic.grades([0, patient])):
            if grade in grades and grade not in found:
                found[grade] = synthetic.eye([0, patient], side)
        if set(grades) <= set(found):
            return found


def competition(folder):
    """Write photographs and ``trainLabels.csv`` as the competition names them."""
    folder.mkdir()
    (folder / "trainLabels.csv").write_text(
        "image,level\n" + "".join(f"{name},{grade}\n" for name, grade in LABELS.items())
    )
    scenes = _scenes(LABELS.values())
    for name, grade in LABELS.items():
        if name not in (DAMAGED, ABSENT):
            picture, _ = _photograph(scenes[grade], _ROWS)
            Image.fromarray(picture).save(folder / f"{name}.jpeg", quality=95)
    (folder / f"{DAMAGED}.jpeg").write_bytes(b"<html>not found</html>")


def _write_table(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _read_table(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def idrid_mirror(mirror, tables):
    """Write a mirror with few photographs, and shorten the lists in ``tables`` to them.

    Parameters
    ----------
    mirror : Path
        Folder to make: ``idrid/grading``, ``idrid/lesions`` and ``SHA256SUMS``.
    tables : Path
        Folder with ``idrid.csv`` and ``idrid_lesions.csv``.
    """
    outlined = _read_table(tables / "idrid_lesions.csv")[:1]
    graded = _read_table(tables / "idrid.csv")
    chosen = [row for row in graded if row["idrid_id"] == outlined[0]["grading_id"]]
    for split, grade in (("train", "0"), ("test", "0"), ("test", "2"), ("test", "4")):
        chosen.append(
            next(
                row
                for row in graded
                if row["split"] == split and row["dr_grade"] == grade and not row["duplicate_of"]
            )
        )
    outlined[0]["classes"] = "MA HE EX SE OD"
    _write_table(tables / "idrid.csv", chosen)
    _write_table(tables / "idrid_lesions.csv", outlined)
    for name in ("grading/images", "lesions/images", "lesions/masks"):
        (mirror / "idrid" / name).mkdir(parents=True)
    scenes = _scenes([int(row["dr_grade"]) for row in chosen])
    for row in chosen:
        picture, _ = _photograph(scenes[int(row["dr_grade"])], _ROWS)
        Image.fromarray(picture).save(
            mirror / "idrid/grading/images" / f"{row['idrid_id']}.jpg", quality=95
        )
    # Lesions are outlined on photographs of the full size; drawn at half of it.
    _, eye, _ = figure_4_2.first_synthetic(0)
    picture, masks = _photograph(eye.scene, idrid.SHAPE[0] // 2)
    # That eye has every lesion but soft exudates.
    masks.setdefault(idrid.CLASSES["SE"], np.zeros_like(masks[idrid.CLASSES["OD"]]))[
        300:340, 1000:1060
    ] = True

    def enlarged(array):
        return Image.fromarray(array.repeat(2, axis=0).repeat(2, axis=1))

    name = outlined[0]["seg_id"]
    enlarged(picture).save(mirror / "idrid/lesions/images" / f"{name}.jpg", quality=95)
    for short in outlined[0]["classes"].split():
        enlarged(masks[idrid.CLASSES[short]]).save(
            mirror / "idrid/lesions/masks" / f"{name}_{short}.png"
        )
    (mirror / "SHA256SUMS").write_text(
        "".join(
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(mirror)}\n"
            for path in sorted((mirror / "idrid").rglob("*.*"))
        )
    )
