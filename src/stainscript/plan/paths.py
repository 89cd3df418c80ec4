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


def statistics(dataset: str, split: str, fold: object, suffix: str = "parquet") -> str:
    return path("genes", dataset, split, f"fold{fold}", f"statistics.{suffix}")


def tokens(dataset: str, split: str, fold: object, name: str, slide: str) -> str:
    return path("genes", dataset, split, f"fold{fold}", f"{name}.tokens", slide)


def groups(dataset: str, split: str, fold: object, panel: str, name: str) -> str:
    return path("genes", dataset, split, f"fold{fold}", f"{panel}.{name}.groups.json")


def pathways(dataset: str, split: str, fold: object, panel: str, name: str) -> str:
    return path("genes", dataset, split, f"fold{fold}", f"{panel}.{name}.pathways.json")


def enrichment(dataset: str, split: str, fold: object, panel: str, groups: str, pathways: str) -> str:
    return path("genes", dataset, split, f"fold{fold}", f"{panel}.{groups}.{pathways}.enrichment.tsv")


def descriptions(dataset: str, split: str, fold: object, panel: str, name: str) -> str:
    return path("gene_text", dataset, split, f"fold{fold}", panel, name, "descriptions.jsonl")


def gene_text(dataset: str, split: str, fold: object, panel: str, name: str, encoder: str) -> str:
    return path("gene_text", dataset, split, f"fold{fold}", panel, name, encoder)


def text_weights(name: str) -> str:
    return path("text_weights", name)


def reference(name: str, file: str) -> str:
    return path("references", name, file)


def split(dataset: str, split: str) -> str:
    return path("splits", dataset, f"{split}.json")


def run(experiment: str, fold: object, seed: object, name: str) -> str:
    return path("runs", experiment, f"fold{fold}", f"seed{seed}", name)


def predicted(experiment: str, fold: object, seed: object, slide: str) -> str:
    return path("predictions", experiment, f"fold{fold}", f"seed{seed}", slide)


def metrics(experiment: str, fold: object, seed: object, name: str) -> str:
    return path("metrics", experiment, f"fold{fold}", f"seed{seed}", f"{name}.parquet")


def programmes(experiment: str, fold: object, seed: object, pathways: str) -> str:
    return path("metrics", experiment, f"fold{fold}", f"seed{seed}", f"{pathways}.programmes.tsv")


def table(chosen: str, suffix: str) -> str:
    return path("tables", chosen, f"leaderboard.{suffix}")


def hest_table(chosen: str, name: str) -> str:
    return path("tables", chosen, name)


REPORT = path("report.html")
