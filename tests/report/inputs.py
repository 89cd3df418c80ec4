"""Tiny inputs of a report: two slides of twelve spots, three drawn genes, five experiments under two protocols."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from stainscript.types import SlideInfo

DATASET = "toy"
SLIDES = {"A1": "A", "B1": "B"}  # slide → patient
WIDTH_PX, HEIGHT_PX, MPP = 4000, 2000, 0.5  # 2,000 × 1,000 µm
GENES = {"ENSG1": "ERBB2", "ENSG2": "FASN", "ENSG3": "GNAS"}
EXPERIMENTS = [("log", "ridge"), ("log", "mlp"), ("log", "oracle"), ("log", "mean"), ("classic", "ridge")]
SPACES = {"log": "log1p", "classic": "log10p1_cp10k"}


def write_inputs(root: Path) -> dict[str, Any]:
    """Write every input below ``root``; returns the arguments of ``write_report`` but for ``out``."""
    experiments = [_record(protocol, method) for protocol, method in EXPERIMENTS]
    written = {"slides": [], "genes": [], "maps": []}
    for record in experiments:
        for fold, slide in enumerate(SLIDES):
            folder = root / "metrics" / record["name"] / f"fold{fold}" / "seed0"
            folder.mkdir(parents=True)
            for name, frame in _run(record, fold, slide).items():
                frame.to_parquet(folder / f"{name}.parquet")
                written[name].append(str(folder / f"{name}.parquet"))
    infos, thumbnails = _slides(root / "slides" / DATASET)
    leaderboard = root / "tables" / "demo" / "leaderboard.tsv"
    leaderboard.parent.mkdir(parents=True)
    _leaderboard(experiments, written["slides"]).to_csv(leaderboard, sep="\t", index=False)
    return {
        "title": "Toy <report>",
        "tables": {"demo": str(leaderboard)},
        **written,
        "infos": infos,
        "thumbnails": thumbnails,
        "experiments": experiments,
    }


def spots_um() -> np.ndarray:
    """(12, 2) positions (x, y): four columns 400 µm apart, three rows 200 µm apart."""
    x, y = np.meshgrid([400.0, 800.0, 1200.0, 1600.0], [300.0, 500.0, 700.0])
    return np.stack([x.ravel(), y.ravel()], axis=1)


def measured(slide: str) -> np.ndarray:
    """(12, 3): the first gene rises with x, the second with y, the third falls with x; B1 has twice A1's values."""
    x, y = spots_um().T / 400
    return np.stack([x, y, 5 - x], axis=1) * (1 if slide == "A1" else 2)


def predicted(method: str, slide: str) -> np.ndarray:
    """(12, 3): oracle: the truth; mean: a constant; mlp: 3 - truth / 2, so PCC -1; ridge: the truth plus y, x, y²."""
    truth = measured(slide)
    x, y = spots_um().T / 400
    return {
        "oracle": truth,
        "mean": np.full_like(truth, 2.0),
        "mlp": 3 - truth / 2,
        "ridge": truth + np.stack([y, x, y * y], axis=1),
    }[method]


def pcc(method: str, slide: str) -> np.ndarray:
    """(3,) correlation of each gene; NaN for the constant predictions of ``mean``."""
    if method == "mean":
        return np.full(3, np.nan)
    return np.array(
        [np.corrcoef(p, t)[0, 1] for p, t in zip(predicted(method, slide).T, measured(slide).T, strict=True)]
    )


def _record(protocol: str, method: str) -> dict[str, Any]:
    encoder = "morphology" if method in ("ridge", "mlp") else "none"
    name = f"{DATASET}.{protocol}.{method}.{encoder}"
    record = {"name": name, "set": "demo", "dataset": DATASET, "method": method, "encoder": encoder}
    return {**record, "protocol": protocol, "seeds": [0]}


def _run(record: dict[str, Any], fold: int, slide: str) -> dict[str, pd.DataFrame]:
    run = {"experiment": record["name"], "fold": fold, "seed": 0}
    values = pcc(record["method"], slide)
    defined = int(np.isfinite(values).sum())
    facts = {"dataset": DATASET, "slide": slide, "patient": SLIDES[slide], "space": SPACES[record["protocol"]]}
    counts = {"n_defined": defined, "n_genes": 3, "n_spots": 12}
    mean = values.mean()
    error = float(((predicted(record["method"], slide) - measured(slide)) ** 2).mean())
    rows = [
        {**run, **facts, **counts, "metric": "pcc", "subset": "all", "value": mean, "post_hoc": False},
        {**run, **facts, **counts, "metric": "pcc", "subset": "best1", "value": values.max(), "post_hoc": True},
        {**run, **facts, **counts, "metric": "mse", "subset": "all", "value": error, "post_hoc": False, "n_defined": 3},
    ]
    genes = {**run, "slide": slide, "gene_id": list(GENES), "symbol": list(GENES.values()), "pcc": values}
    x_px, y_px = (spots_um() / MPP).T
    drawn = [
        pd.DataFrame(
            {
                "slide": slide,
                "gene_id": gene,
                "symbol": symbol,
                "x_px": x_px,
                "y_px": y_px,
                "measured": measured(slide)[:, n].astype(np.float32),
                "predicted": predicted(record["method"], slide)[:, n].astype(np.float32),
            }
        )
        for n, (gene, symbol) in enumerate(GENES.items())
    ]
    return {
        "slides": pd.DataFrame(rows),
        "genes": pd.DataFrame({**genes, "in_heg": [True, False, False], "in_hvg": [True, True, False]}),
        "maps": pd.concat(drawn),
    }


def _slides(folder: Path) -> tuple[list[str], list[str]]:
    folder.mkdir(parents=True)
    infos, thumbnails = [], []
    for slide, patient in [*SLIDES.items(), ("U1", "C")]:
        info = SlideInfo(
            dataset=DATASET,
            slide=slide,
            patient=patient,
            width_px=WIDTH_PX,
            height_px=HEIGHT_PX,
            mpp=MPP,
            mpp_source="metadata",
            reader="tiff",
            image=f"{slide}.tif",
            image_sha256="0" * 64,
            spot_diameter_um=100.0,
            has_expression=slide in SLIDES,
        )
        infos.append(str(folder / f"{slide}.json"))
        thumbnails.append(str(folder / f"{slide}.thumbnail.jpg"))
        Path(infos[-1]).write_text(json.dumps(asdict(info)))
        Image.new("RGB", (1024, 512), (220, 170, 200)).save(thumbnails[-1], quality=90)
    return infos, thumbnails


def _leaderboard(experiments: list[dict[str, Any]], slides: list[str]) -> pd.DataFrame:
    rows = pd.concat([pd.read_parquet(path) for path in slides])
    table = []
    for record in experiments:
        mine = rows[rows["experiment"] == record["name"]]
        for (metric, subset, post_hoc), values in mine.groupby(["metric", "subset", "post_hoc"], sort=False):
            shared = {"experiment": record["name"], "method": record["method"], "encoder": record["encoder"]}
            mean = values["value"].mean()
            for pooled in ("", "_pooled") if metric == "pcc" else ("",):
                table.append(
                    {
                        **shared,
                        "protocol": record["protocol"],
                        "metric": metric + pooled,
                        "subset": subset,
                        "mean": mean,
                        "sd": values["value"].std(),
                        "ci_low": mean - 0.1,
                        "ci_high": mean + 0.1,
                        "n_folds": 2,
                        "n_defined": int(values["n_defined"].sum()),
                        "dataset": DATASET,
                        "space": SPACES[record["protocol"]],
                        "post_hoc": post_hoc,
                    }
                )
    return pd.DataFrame(table)
