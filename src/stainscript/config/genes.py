"""Sections about genes: panels, and everything that a fold makes of its panel or of its training slides."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from stainscript.config.base import Name, Strict
from stainscript.types import PanelKind, Space

Seed = Annotated[int, Field(ge=0)]


class PanelRule(Strict):
    """How the genes to predict are chosen, on each fold's training slides."""

    rule: PanelKind
    n: int | None = Field(
        None, gt=0, description="hmhvg: size of both rankings; others: number of genes; null: the whole list, or all"
    )
    exactly: bool = Field(False, description="hmhvg: the smallest rankings that leave n genes (Stem, GenAR)")
    take_first: int | None = Field(None, gt=0, description="keep the first genes of the panel (GenAR's loader: 200)")
    space: Space | None = Field(
        None, description="in which mean and variance are ranked; null: log1p_cp10k for heg, else counts"
    )
    exclude_prefixes: tuple[str, ...] = Field((), description="symbols starting so are left out, e.g. MT-, RPS, RPL")
    preselect_hvg: int | None = Field(
        None, gt=0, description="per slide keep this many HVGs first and take the union (Stem)"
    )
    min_spot_share: float = Field(0.0, ge=0, lt=1, description="gene must be seen in this share of training spots")
    min_slides: int | None = Field(None, gt=0, description="all: slides that measure the gene; null: every one")
    missing: Literal["error", "mask"] = Field(
        "error", description="a gene that a training slide does not measure: refused, or masked there"
    )
    scope: Literal["train", "dataset"] = Field(
        "train", description="dataset: over all slides, as the classic papers did; leaks"
    )
    genes: tuple[str, ...] | None = Field(None, description="fixed: the list itself")
    genes_file: str | None = Field(
        None,
        description="fixed: instead of genes, a file of them, from the dataset's root; {task}: its HEST-Bench task",
    )
    printed: str | None = Field(None, description="printed: a published list, e.g. genar/her2st")
    vocabulary: Name | None = Field(None, description="a reference: only genes of this vocabulary are candidates")

    @model_validator(mode="after")
    def _one_list(self) -> PanelRule:
        if self.genes_file is not None and (self.rule != "fixed" or self.genes is not None):
            raise ValueError("genes_file belongs to rule fixed, instead of genes")
        return self


class Statistics(Strict):
    """What reference statistics rank."""

    n: int = Field(5000, gt=0, description="highly variable genes ranked; STAMP A.3.3")
    flavours: tuple[Literal["seurat", "seurat_v3"], ...] = ("seurat", "seurat_v3")
    space: Space = Field(
        Space.COUNTS, description="of seurat_v3; log1p_cp10k: the paper's literal use on normalised values"
    )
    batches: Literal["slide", "pooled"] = Field("slide", description="seurat_v3: ranked in each slide, then merged")
    block_spots: int = Field(8192, gt=0, description="spots read at a time; memory, not the result, depends on it")


class TokenRule(Strict):
    """How counts become tokens: ranks (STAMP) or the counts themselves (GenAR). Null: what the preset says."""

    kind: Literal["rank", "count"]
    preset: Literal["paper", "release"] = Field("paper", description="rank: STAMP's paper or its released code")
    vocab: Literal["released", "human_only", "build"] | None = None
    gene_merge: Literal["sum", "first"] | None = None
    aliases: bool | None = None
    length: int | None = Field(None, gt=0, description="rank: positions kept")
    mean_rounding: Literal["none", "half_up"] | None = None
    id_offset: int | None = Field(None, ge=1)
    keep_explicit_zeros: bool | None = None
    cap: int | None = Field(None, gt=0, description="count: highest token; null: 2,000")
    vocabulary: Name | None = Field(None, description="rank: a reference with the vocabulary's ids")
    symbols: Name | None = Field(None, description="rank: a reference that maps symbols to the vocabulary's ids")
    means: Name | None = Field(None, description="rank: a reference with a corpus's means; null: the training slides'")

    @model_validator(mode="after")
    def _of_its_kind(self) -> TokenRule:
        ranks = set(TokenRule.model_fields) - {"kind", "cap"}
        unread = ranks if self.kind == "count" else {"cap"}
        given = sorted(name for name in unread & self.model_fields_set if getattr(self, name) is not None)
        if given:
            raise ValueError(f"{', '.join(given)}: not read by kind {self.kind}")
        built = self.vocab == "build"
        if self.kind == "rank" and built == (self.vocabulary is not None):
            raise ValueError("a vocabulary (a reference), or vocab: build for the genes of the training slides")
        return self


class GroupRule(Strict):
    """How a panel's genes are ordered and grouped, for methods that go from coarse to fine (GenAR)."""

    order: Literal["two_stage", "random", "capped", "pathway", "printed", "panel"] = Field(
        description="two_stage: k-means twice, as released; capped: sizes up to 12; pathway: shared gene sets"
    )
    seed: Seed = Field(42, description="of k-means and of the shuffle; part of the result")
    major: int = Field(4, gt=0, description="two_stage: clusters of the first stage")
    target_size: int = Field(12, gt=0, description="two_stage: genes in a cluster of the second stage, about")
    n_init: int = Field(10, gt=0)
    zscore_axis: Literal["gene", "spot"] = Field("gene", description="spot: as an older release did")
    clusters: int = Field(32, gt=0, description="capped: number of groups")
    min_size: int = Field(1, ge=0, description="capped: genes of a group at least")
    max_size: int = Field(12, gt=0, description="capped: genes of a group at most")
    weight: float = Field(0.5, ge=0, le=1, description="pathway: shared gene sets against co-expression")
    gene_sets: Name | None = Field(None, description="pathway: a reference with gene sets")
    printed: str | None = Field(None, description="printed: a published list with groups, e.g. genar/her2st")
    scales: tuple[int, ...] | str = Field(
        "paper", description="numbers of blocks, or a preset; paper: 1,4,8,40,100,200"
    )


class PathwayRule(Strict):
    """How gene sets become the pathways that predictions are judged by. Defaults: HistoPrism's release."""

    gene_sets: Name = Field(description="a reference with gene sets")
    universe: Literal["measured", "panel", "released", "file", "none"] = Field(
        "measured", description="genes that sets are cut to before their sizes are counted"
    )
    universe_file: Name | None = Field(None, description="released, file: a reference with the universe's genes")
    measured_in: Literal["every", "any"] = Field("every", description="measured: on every training slide, or on any")
    compare: Literal["written", "current"] = Field(
        "current", description="current: an old symbol of the universe finds its gene; written: as HistoPrism's release"
    )
    min_size: int = Field(50, ge=1, description="genes, after the cut; HistoPrism section 3.3")
    max_size: int = Field(100, ge=1)
    whole: tuple[str, ...] = Field(("hallmark",), description="collections that no filter touches")
    redundancy: Literal["keep_largest", "drop_larger", "none"] = Field(
        "keep_largest", description="drop_larger: the paper's words; keep_largest: its release, gives the 87 sets"
    )
    tau: float = Field(0.1, ge=0, le=1, description="highest Jaccard index of two kept sets")
    ties: str = Field("second", description="drop_larger: which of two sets of one size goes")
    min_mapped: int = Field(1, ge=0, description="pathways with fewer genes of the panel are marked unusable")

    @model_validator(mode="after")
    def _universe_named(self) -> PathwayRule:
        if (self.universe_file is not None) != (self.universe in ("released", "file")):
            raise ValueError("universe_file goes with universe released or file, and with no other")
        return self


class EnrichmentRule(Strict):
    """How groups of genes are tested for pathways."""

    background: Literal["panel", "measured", "nominal"] = Field(
        "panel", description="genes that could have been in a group; nominal: a number alone, as GenAR's release"
    )
    background_size: int = Field(20_000, gt=0, description="nominal: genes; GenAR's release")
    correction: Literal["fdr_bh", "fdr_by", "bonferroni", "holm", "none"] = "fdr_bh"
    family: Literal["all", "group"] = Field("all", description="tests that are corrected for together")


class ProgrammeRule(Strict):
    """How programmes of genes are found in predictions, and tested for pathways (gseapy)."""

    number: int = Field(10, gt=0, description="programmes")
    clustering: Literal["average", "kmeans"] = "average"
    within_slide: bool = Field(True, description="correlations within slides, not between them")
    max_genes: int = Field(2000, gt=1, description="those whose predictions vary most: all pairs are held")
    min_size: int = Field(5, gt=0, description="genes of a pathway among the ranked ones")
    max_size: int = Field(500, gt=0)
    permutations: int = Field(1000, gt=0, description="of the preranked test")
    weight: float = Field(1.0, ge=0)
    seed: Seed = 0


class Ncbi(Strict):
    """How NCBI Gene is asked."""

    base_url: str = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils/"
    email_env: str = Field("NCBI_EMAIL", description="variable with the address that NCBI asks for")
    key_env: str | None = Field("NCBI_API_KEY", description="variable with a key: 10 requests a second instead of 3")
    batch: int = Field(100, gt=0, description="genes a request")
    timeout_s: float = Field(30.0, gt=0)
    attempts: int = Field(6, gt=0)


class Rewrite(Strict):
    """Which chat model rewrites what is known, at any OpenAI-compatible address. Its key stays in the environment."""

    base_url: str = Field(description="e.g. https://api.openai.com/v1, or http://localhost:11434/v1 for Ollama")
    model: str
    key_env: str | None = Field(None, description="variable with the key; null: the endpoint asks for none")
    strategy: Literal["full", "no_constraint", "no_summary"] = Field("full", description="DKAN, ablation 2")
    temperature: float | None = Field(0.0, ge=0)
    seed: int | None = 0
    max_words: int = Field(120, gt=3, description="all values together stay under it; DKAN figure S1")
    max_tokens: int | None = Field(400, gt=0)
    max_tries: int = Field(3, gt=0, description="answers asked for a gene until one is valid")
    timeout_s: float = Field(60.0, gt=0)
    attempts: int = Field(6, gt=0, description="tries of a request that the endpoint does not serve")
    backoff_s: float = Field(1.0, ge=0)
    concurrency: int = Field(4, gt=0)
    max_requests: int | None = Field(None, gt=0, description="of one run, so that no mistake is expensive")


class DescriptionRule(Strict):
    """Where the descriptions of genes come from."""

    source: Literal["names", "ncbi"] = Field("names", description="names: offline; ncbi: NCBI Gene summaries")
    gene_sets: Name | None = Field(None, description="names: a reference with gene sets to mention")
    max_sets: int = Field(5, ge=0, description="names: gene sets named a gene, the smallest first")
    ncbi: Ncbi | None = None
    rewrite: Rewrite | None = None

    @model_validator(mode="after")
    def _of_its_source(self) -> DescriptionRule:
        if self.source == "names" and self.ncbi is not None:
            raise ValueError("ncbi belongs to source: ncbi")
        if self.source == "ncbi" and self.gene_sets is not None:
            raise ValueError("gene_sets belong to source: names")
        return self


class TextEncoder(Strict):
    """A frozen text encoder."""

    kind: Name = Field(description="a module of stainscript.encoders.text")
    weights: str | None = Field(
        None, description="folder with the published files; hub: fetched with your own token; random; null: none needed"
    )
    weights_sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    revision: str = "main"
    seed: Seed = 0
    options: dict[str, Any] = Field(default_factory=dict)
    pooling: str | None = Field(None, description="mean, cls, …; null: the encoder's own")
    dimension: int | None = Field(None, gt=0, description="null: the encoder's width; fewer: principal components")
    normalise: bool = Field(False, description="rows of unit length")
    max_length: int | None = Field(None, gt=0, description="tokens; null: all that the encoder reads")
    text_source: Literal["values", "raw_json", "summary"] = Field("values", description="what is embedded")
    batch_size: int = Field(16, gt=0)
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
