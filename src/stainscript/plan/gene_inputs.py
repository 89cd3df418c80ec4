"""Jobs of ``rules/gene_inputs.smk``: what is made of genes for a fold, by its training slides alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stainscript.artifacts.provenance import code_digest
from stainscript.config import DescriptionRule, GeneGrid, Ncbi, TokenRule
from stainscript.encoders import text as text_encoders
from stainscript.errors import DataContractError
from stainscript.genes.descriptions.options import rule_of
from stainscript.genes.groups.rules import rule_of as group_rule
from stainscript.genes.tokens.rules import COUNT_CAP, PRESETS, CountRule, rule_dict
from stainscript.plan import paths
from stainscript.plan.cohorts import locate
from stainscript.plan.references import ReferenceJobs


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """One panel of one fold, as a protocol chooses it."""

    dataset: str
    protocol: str
    split: str
    panel: str
    fold: int

    @property
    def where(self) -> tuple[str, str, int]:
        return self.dataset, self.split, self.fold

    @property
    def name(self) -> str:
        return f"{self.panel}.{self.protocol}"


class GeneInputJobs(ReferenceJobs):
    """Jobs of ``rules/gene_inputs.smk``: what is made of genes for a fold, by its training slides alone."""

    def __init__(self, raw: dict[str, Any], *, repository: str | Path) -> None:
        super().__init__(raw, repository=repository)
        self._check_groups()
        self._check_descriptions()
        self._check_text_encoders()

    def gene_inputs(self) -> list[str]:
        """Everything that the config asks for under ``genes``."""
        return sorted({path for grid in self.config.genes for path in self._wanted(grid)})

    def training_slides(self, w: Any) -> list[str]:
        """Counts of the fold's training side: the only ones that its gene inputs are made of."""
        fold = self.folds[w.dataset, w.split][int(w.fold)]
        return [paths.expression(w.dataset, name) for name in sorted({*fold.train, *fold.val})]

    def training_slide(self, w: Any) -> str:
        """The same of one slide; raises ``DataContractError`` for one that the fold tests."""
        path = paths.expression(w.dataset, w.slide)
        if path not in self.training_slides(w):
            raise DataContractError(
                "workflow",
                f"tokens of {w.slide} for fold {w.fold} of {w.split}",
                expected="a training slide of the fold",
                found="another",
                remedy="ask for a fold that trains on the slide: its tokens are made of its counts, the answers",
            )
        return path

    def panel_input(self, w: Any) -> str:
        return paths.panel(w.dataset, w.split, w.fold, w.panel, w.protocol)

    def statistics_input(self, w: Any) -> str:
        return paths.statistics(w.dataset, w.split, w.fold)

    def statistics_params(self, w: Any) -> dict[str, Any]:
        return {
            "hvg": self.config.statistics.model_dump(mode="json", exclude={"block_spots"}),
            "code": code_digest(["stainscript.stages.gene_statistics"]),
        }

    def rank_tokens(self) -> list[str]:
        return [name for name, rule in self.config.tokens.items() if rule.kind == "rank"]

    def count_tokens(self) -> list[str]:
        return [name for name, rule in self.config.tokens.items() if rule.kind == "count"]

    def token_references(self, w: Any) -> dict[str, str]:
        """Files that a token rule names: a vocabulary, the means of a corpus."""
        rule = self.config.tokens[w.tokens]
        named = {key: getattr(rule, key) for key in ("vocabulary", "means", "symbols") if getattr(rule, key, None)}
        return {key: self.reference(name) for key, name in named.items()}

    def token_params(self, w: Any) -> dict[str, Any]:
        return {
            "rule": _token_rule(self.config.tokens[w.tokens]),
            "training_slides": sorted(Path(path).stem for path in self.training_slides(w)),
            "names": self.gene_names(w.dataset),
            "code": code_digest(["stainscript.stages.tokenise_slide"]),
        }

    def group_sets(self, w: Any) -> list[str]:
        """The gene sets that a group rule is informed by."""
        chosen = self.config.groups[w.groups].gene_sets
        return [] if chosen is None else [self.reference(chosen)]

    def group_params(self, w: Any) -> dict[str, Any]:
        return {
            "rule": self.config.groups[w.groups].model_dump(mode="json", exclude={"gene_sets"}),
            "names": self.gene_names(w.dataset),
            "code": code_digest(["stainscript.stages.group_genes"]),
        }

    def pathway_sets(self, w: Any) -> str:
        return self.reference(self.config.pathways[w.pathways].gene_sets)

    def universe_input(self, w: Any) -> list[str]:
        """The counts of the training slides, or the file, that a universe is read from."""
        rule = self.config.pathways[w.pathways]
        if rule.universe_file is not None:
            return [self.reference(rule.universe_file)]
        return self.training_slides(w) if rule.universe == "measured" else []

    def pathway_params(self, w: Any) -> dict[str, Any]:
        return {
            "rule": self.config.pathways[w.pathways].model_dump(mode="json", exclude={"gene_sets", "universe_file"}),
            "names": self.gene_names(w.dataset),
            "code": code_digest(["stainscript.stages.curate_pathways"]),
        }

    def background_input(self, w: Any) -> list[str]:
        return self.training_slides(w) if self.config.enrichment.background == "measured" else []

    def enrichment_params(self, w: Any) -> dict[str, Any]:
        return {
            "rule": self.config.enrichment.model_dump(mode="json"),
            "code": code_digest(["stainscript.stages.enrich_groups"]),
        }

    def description_sets(self, w: Any) -> list[str]:
        chosen = self.config.descriptions[w.descriptions].gene_sets
        return [] if chosen is None else [self.reference(chosen)]

    def description_params(self, w: Any) -> dict[str, Any]:
        entry = self.config.descriptions[w.descriptions]
        return {
            "rule": _description_rule(entry, disease=self.config.datasets[w.dataset].disease),
            "names": self.gene_names(w.dataset),
            "code": code_digest(["stainscript.stages.describe_genes"]),
        }

    def watched_text_weights(self, w: Any, ancient: Callable[[str], Any]) -> list[Any]:
        """The folder of a text encoder's weights, ``ancient`` where the user brought it."""
        weights = self._text_weights(w.text_encoder)
        if weights in (None, "random"):
            return []
        fetched = self.config.text_encoders[w.text_encoder].weights == "hub"
        return [weights if fetched else ancient(weights)]

    def text_fetch_params(self, w: Any) -> dict[str, Any]:
        entry = self.config.text_encoders[w.text_encoder]
        return {"kind": entry.kind, "revision": entry.revision, "sha256": entry.weights_sha256}

    def embedding_params(self, w: Any) -> dict[str, Any]:
        entry = self.config.text_encoders[w.text_encoder]
        known = {"name": w.text_encoder, "weights": self._text_weights(w.text_encoder)}
        return {
            "encoder": entry.model_dump(mode="json") | known,
            "hardware": self.hardware("accelerator", "threads"),
            "code": code_digest(["stainscript.stages.embed_genes", *text_encoders.code_modules(entry.kind)]),
        }

    def text_gpus(self, w: Any) -> int:
        accelerated = text_encoders.needs_gpu(self.config.text_encoders[w.text_encoder].kind)
        return int(accelerated and self.config.hardware.accelerator != "cpu")

    def _text_weights(self, name: str) -> str | None:
        """Where the job finds a text encoder's weights: a folder, ``random``, or ``None``."""
        weights = self.config.text_encoders[name].weights
        if weights in (None, "random"):
            return weights
        return paths.text_weights(name) if weights == "hub" else str(locate(weights, self.repository))

    def _check_groups(self) -> None:
        for name, entry in self.config.groups.items():
            group_rule(entry.model_dump(mode="json", exclude={"gene_sets"}))
            if (entry.gene_sets is not None) != (entry.order == "pathway"):
                raise DataContractError(
                    "config.yaml",
                    f"groups.{name}.gene_sets",
                    expected="a reference for order pathway, and none for any other",
                    found=entry.gene_sets,
                    remedy="correct order or gene_sets",
                )

    def _check_descriptions(self) -> None:
        """Refuse options that cannot be meant, a secret among them, before any job and without showing it."""
        for entry in self.config.descriptions.values():
            rule_of(_description_rule(entry, disease=""))

    def _check_text_encoders(self) -> None:
        for name in sorted({name for grid in self.config.genes for name in grid.text_encoders}):
            entry, field = self.config.text_encoders[name], f"text_encoders.{name}"
            text_encoders.check(entry.kind, field=f"{field}.kind")
            text_encoders.check_weights(entry.kind, self._text_weights(name), field=field)
            given = {key: getattr(entry, key) for key in ("pooling", "dimension", "max_length", "options")}
            text_encoders.check_settings(entry.kind, **given, field=field)

    def _wanted(self, grid: GeneGrid) -> Iterator[str]:
        for chosen in self._panels(grid):
            if grid.statistics:
                yield paths.statistics(*chosen.where)
            yield from self._tokens(grid, chosen)
            for groups in grid.groups:
                yield paths.groups(*chosen.where, chosen.name, groups)
            for pathways in grid.pathways:
                yield paths.pathways(*chosen.where, chosen.name, pathways)
                yield from (paths.enrichment(*chosen.where, chosen.name, name, pathways) for name in grid.groups)
            for described in grid.descriptions:
                yield paths.descriptions(*chosen.where, chosen.name, described)
                for encoder in grid.text_encoders:
                    yield paths.gene_text(*chosen.where, chosen.name, described, encoder)

    def _panels(self, grid: GeneGrid) -> Iterator[Chosen]:
        for dataset in grid.datasets:
            for name in grid.protocols:
                protocol = self.config.protocols[name]
                for fold in self.folds[dataset, protocol.split]:
                    yield Chosen(
                        dataset=dataset, protocol=name, split=protocol.split, panel=protocol.panel, fold=fold.index
                    )

    def _tokens(self, grid: GeneGrid, chosen: Chosen) -> Iterator[str]:
        fold = self.folds[chosen.dataset, chosen.split][chosen.fold]
        for name in grid.tokens:
            owner = name if self.config.tokens[name].kind == "rank" else f"{chosen.name}.{name}"
            for slide in (*fold.train, *fold.val):
                yield paths.tokens(*chosen.where, owner, slide)


def _token_rule(entry: TokenRule) -> dict[str, Any]:
    """The rule with every option: the preset's, but for those that the config gives."""
    if entry.kind == "count":
        return rule_dict(CountRule(cap=entry.cap or COUNT_CAP))
    given = entry.model_dump(exclude={"kind", "preset", "cap", "vocabulary", "symbols", "means"}, exclude_none=True)
    return rule_dict(replace(PRESETS[entry.preset], **given))


def _description_rule(entry: DescriptionRule, *, disease: str) -> dict[str, Any]:
    rule = entry.model_dump(mode="json", exclude={"gene_sets"})
    if rule["rewrite"] is not None:
        rule["rewrite"]["disease"] = disease
    if entry.source == "ncbi" and rule["ncbi"] is None:
        rule["ncbi"] = Ncbi().model_dump(mode="json")
    return rule
