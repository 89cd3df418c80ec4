"""The results grammar: every path under ``results/``, written once."""

from __future__ import annotations

RESULTS = "results"


def path(*parts: object) -> str:
    """A path below ``results/``."""
    return "/".join([RESULTS, *map(str, parts)])


def raw(dataset: str, slide: str) -> str:
    return path("raw", dataset, slide)


def info(dataset: str, slide: str) -> str:
    return path("slides", dataset, f"{slide}.json")


def spots(dataset: str, slide: str) -> str:
    return path("slides", dataset, f"{slide}.spots.parquet")


def thumbnail(dataset: str, slide: str) -> str:
    return path("slides", dataset, f"{slide}.thumbnail.jpg")


def quality(dataset: str, slide: str, suffix: str = "json") -> str:
    return path("slides", dataset, f"{slide}.quality.{suffix}")


def weights(encoder: str, name: str) -> str:
    return path("weights", encoder, name)


def downloaded(dataset: str, file: str) -> str:
    return path("downloads", dataset, f"{file}.json")


def expression(dataset: str, slide: str) -> str:
    return path("expression", dataset, f"{slide}.h5ad")


def patches(dataset: str, view: str, slide: str) -> str:
    return path("patches", dataset, view, slide)


def features(dataset: str, view: str, encoder: str, slide: str) -> str:
    return path("features", dataset, view, encoder, slide)


def panel(dataset: str, split: str, fold: object, panel: str, protocol: str) -> str:
    return path("genes", dataset, split, f"fold{fold}", f"{panel}.{protocol}.tsv")


def split(dataset: str, split: str) -> str:
    return path("splits", dataset, f"{split}.json")


def run(experiment: str, fold: object, seed: object, name: str) -> str:
    return path("runs", experiment, f"fold{fold}", f"seed{seed}", name)


def predicted(experiment: str, fold: object, seed: object, slide: str) -> str:
    return path("predictions", experiment, f"fold{fold}", f"seed{seed}", slide)


def metrics(experiment: str, fold: object, seed: object, name: str) -> str:
    return path("metrics", experiment, f"fold{fold}", f"seed{seed}", f"{name}.parquet")


def table(chosen: str, suffix: str) -> str:
    return path("tables", chosen, f"leaderboard.{suffix}")


def hest_table(chosen: str, name: str) -> str:
    return path("tables", chosen, name)


REPORT = path("report.html")
