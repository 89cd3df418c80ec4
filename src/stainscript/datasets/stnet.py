"""Breast cancer sections of ST-Net (He et al. 2020): the files of Mendeley data set 29ntw7sh4r, and ST-Net's own tree.

Published, in ``root`` or one folder below it: ``BC23287_C1_stdata.tsv.gz`` (counts), ``spots_BT23287_C1.csv.gz``
(pixels), ``BC23287_C1_Coords.tsv.gz`` (tumour labels), ``HE_BT23287_C1.jpg``; the prefixes BC and BT mean the same.
ST-Net's tree: ``<subtype>/<patient>/<patient>_<section>`` and ``.tsv.gz``, ``.spots.txt``, ``_Coords.tsv``, ``.jpg``.

Genes are Ensembl ids. The publishers dropped genes without a count from a section's table: one that is absent from a
section counts zero there. Four patients are HER2+ patients of her2st as well (``datasets.overlaps``).
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stainscript.datasets import base

PLATFORM = "ST"
PITCH_UM = 200.0
SPOT_DIAMETER_UM = 100.0
HAS_EXPRESSION = True
OPTIONS: dict[str, Any] = {}


def files(row: Mapping[str, str], root: str | Path | None) -> dict[str, Path]:
    """Roles ``counts``, ``selection``, ``image`` and, where it exists, ``labels``."""
    if root is None:
        return {}
    root, slide = Path(root), row["slide"]
    either = (slide, slide.replace("BC", "BT", 1), slide.replace("BT", "BC", 1))
    gz = (".gz", "")
    names = {
        "counts": [f"{n}_stdata.tsv{z}" for n in either for z in gz] + [f"{slide}.tsv{z}" for z in gz],
        "selection": [f"spots_{n}.csv{z}" for n in either for z in gz] + [f"{slide}.spots.txt"],
        "labels": [f"{n}_Coords.tsv{z}" for n in either for z in gz],
        "image": [f"{start}{n}{end}" for start in ("HE_", "") for n in either for end in (".jpg", ".tif")],
    }
    places = _places(root, slide)
    found = {
        role: next((p / n for p in places for n in of_role if (p / n).is_file()), None)
        for role, of_role in names.items()
    }
    if row.get("image"):
        found["image"] = base.named_image(row, places)
    if not base.has_expression(row):
        found["counts"] = None
    return {role: path for role, path in found.items() if path is not None}


def missing(row: Mapping[str, str], root: str | Path | None) -> str | None:
    """Why the section cannot be used here, or ``None``."""
    if root is None:
        return base.NO_ROOT
    found, wanted = files(row, root), expected_files(row, root)
    for role in wanted:
        if role not in found and role != "labels":
            return f"no {role} at {wanted[role].relative_to(root)}, nor under the other names of the layout"
    return None


def expected_files(row: Mapping[str, str], root: str | Path) -> dict[str, Path]:
    """Where the published archive puts the section's files (prefix BT in some: ``files`` finds them)."""
    root, slide = Path(root), row["slide"]
    paths = {
        "counts": root / f"{slide}_stdata.tsv.gz",
        "selection": root / f"spots_{slide}.csv.gz",
        "labels": root / f"{slide}_Coords.tsv.gz",
        "image": root / (row.get("image") or f"HE_{slide}.jpg"),
    }
    return {role: path for role, path in paths.items() if role != "counts" or base.has_expression(row)}


def read(row: Mapping[str, str], files: Mapping[str, str | Path], options: Mapping[str, Any]) -> base.RawSlide:
    """The spots under tissue that have counts, these counts, and the labels ``tumor`` and ``non`` where given.

    Left out and logged: counted spots off the tissue, selected spots without counts, columns of reads that fit several
    genes. Damaged tables, duplicates and files of two sections raise ``DataContractError``.
    """
    from stainscript.datasets import legacy_tables, stnet_tables

    base.checked_options(sys.modules[__name__], options)
    raw = legacy_tables.read_slide(
        row,
        files,
        pitch_um=PITCH_UM,
        diameter_um=SPOT_DIAMETER_UM,
        platform=PLATFORM,
        whole_array=True,
        spots_of=stnet_tables.read_spots,
        counts_of=stnet_tables.read_counts,
    )
    if "labels" not in files:
        return raw
    base.require(files, ["labels"], slide=row["slide"])
    labels = stnet_tables.labels_of(raw.spots["spot_id"], stnet_tables.read_labels(files["labels"]), files["labels"])
    return dataclasses.replace(raw, labels=labels)


def _places(root: Path, slide: str) -> list[Path]:
    """Folders to look in: ``root``, those below it, and the patient's below these."""
    patient = slide.split("_")[0]
    below = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")) if root.is_dir() else []
    return [root, *below, *(p / patient for p in below)]
