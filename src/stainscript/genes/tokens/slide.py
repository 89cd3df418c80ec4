"""The tokens of one slide by a rule: what the files mean for it, and how a block of its counts becomes tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.backed import CountsHead
from stainscript.genes.identifiers.names import GeneNames
from stainscript.genes.tokens.count import count_tokens, panel_columns, panel_counts
from stainscript.genes.tokens.onto_vocabulary import VocabularyMatch, match_vocabulary
from stainscript.genes.tokens.rank import RankTokeniser, gene_weights
from stainscript.genes.tokens.rules import CountRule, RankRule
from stainscript.genes.tokens.vocabulary import Vocabulary, build_genes, human_positions, stamp_vocabulary
from stainscript.genes.tokens.vocabulary_files import read_means, read_symbol_ids, read_vocabulary_genes
from stainscript.types import Panel

STATISTICS_COLUMNS = ["gene_id", "symbol", "total", "n_detected"]


@dataclass(frozen=True, kw_only=True)
class SlideTokens:
    """How one slide is tokenised. tokens: counts of some of its spots (S, G) CSR → tokens (S, ``width``) int32.

    vocabulary_sha256: of the ordered genes that tokens or positions mean; gene_id: of each position, where a position
    is a gene; report: where the slide's columns went, where they had to be matched.
    """

    tokens: Callable[[sparse.csr_matrix], np.ndarray]
    width: int
    vocabulary_sha256: str
    gene_id: tuple[str, ...] | None = None
    report: VocabularyMatch | None = None


@dataclass(frozen=True, kw_only=True)
class RankReference:
    """What the rank tokens of all slides share: the vocabulary, the genes' mean counts (V,), NaN where unknown, names
    to match genes by, and the rule's tokeniser, whose table serves one slide after the other."""

    rule: RankRule
    vocabulary: Vocabulary
    means: np.ndarray
    names: GeneNames | None
    ranks: RankTokeniser


def rank_reference(
    rule: RankRule,
    *,
    vocabulary: str | Path | None,
    symbols: str | Path | None,
    means: str | Path | None,
    statistics: str | Path | None,
    names: GeneNames | None,
    workers: int,
) -> RankReference:
    """Vocabulary and means from files; names: for ``aliases``, else ``None``; workers: threads that rank.

    vocabulary: its file, ``None`` for ``vocab: build``, which takes the genes of ``statistics``; symbols: symbol → id;
    means: of a corpus, one for each gene of the vocabulary file; without it, ``statistics`` gives them: the Parquet of
    ``gene_statistics``, over training slides alone. A gene that these never show has no mean. Raises
    ``DataContractError`` for a file that the rule needs and lacks, or that it would ignore.
    """
    _check_given(rule, vocabulary=vocabulary, means=means, statistics=statistics)
    table = None if statistics is None else _read_statistics(Path(statistics))
    if vocabulary is None:
        genes, path = build_genes(table.genes), statistics
    else:
        genes, path = read_vocabulary_genes(vocabulary), vocabulary
    corpus = None if means is None else read_means(means, genes=len(genes), vocabulary=path)
    if rule.vocab == "human_only":
        kept = human_positions(genes, path=path)
        genes = tuple(genes[place] for place in kept)
        corpus = None if corpus is None else corpus[kept]
    symbol_ids = None if symbols is None else read_symbol_ids(symbols)
    made = stamp_vocabulary(genes, id_offset=rule.id_offset, symbol_ids=symbol_ids, path=path)
    if corpus is None:
        corpus = table.means(made, rule=rule, names=names)
    ranks = RankTokeniser(
        gene_weights(corpus, rounding=rule.mean_rounding),
        length=rule.length,
        id_offset=rule.id_offset,
        keep_zeros=rule.keep_explicit_zeros,
        workers=workers,
    )
    return RankReference(rule=rule, vocabulary=made, means=corpus, names=names, ranks=ranks)


def rank_slide(head: CountsHead, reference: RankReference) -> SlideTokens:
    """STAMP's tokens of one slide. Raises ``DataContractError`` when no gene of the slide is in the vocabulary."""
    vocabulary, rule = reference.vocabulary, reference.rule
    report = match_vocabulary(
        head.gene_ids, vocabulary, merge=rule.gene_merge, names=reference.names, symbols=head.symbols
    )
    if not report.mapped:
        raise DataContractError(
            head.path,
            "gene_id",
            expected=f"genes of {vocabulary.path}, such as {vocabulary.gene_ids[0]}",
            found=f"none among {len(head.gene_ids)}, the first {head.gene_ids[0]}",
            remedy="give the vocabulary's symbol map or a table of gene names (aliases: true), or check the species",
        )
    return SlideTokens(
        tokens=lambda counts: reference.ranks.tokens(report.apply(counts)),
        width=rule.length,
        vocabulary_sha256=vocabulary.sha256,
        report=report,
    )


def count_slide(head: CountsHead, panel: Panel, rule: CountRule) -> SlideTokens:
    """GenAR's tokens of one slide, a position for each gene of the panel."""
    columns = panel_columns(head.gene_ids, panel.gene_ids, path=head.path)
    return SlideTokens(
        tokens=lambda counts: count_tokens(panel_counts(counts, columns, path=head.path), cap=rule.cap),
        width=len(panel),
        vocabulary_sha256=panel.sha256,
        gene_id=panel.gene_ids,
    )


@dataclass(frozen=True, kw_only=True)
class _Statistics:
    """What rank tokens take from the Parquet of ``gene_statistics``, one entry a gene."""

    genes: list[str]
    symbols: list[str]
    total: np.ndarray
    detected: np.ndarray

    def means(self, vocabulary: Vocabulary, *, rule: RankRule, names: GeneNames | None) -> np.ndarray:
        """(V,) mean over the spots that show a gene, NaN where none does.

        Where columns are added up, so are their totals and their spots: how often two columns of one gene are seen
        together is not in the statistics, so a spot that shows both counts twice.
        """
        report = match_vocabulary(self.genes, vocabulary, merge=rule.gene_merge, names=names, symbols=self.symbols)
        there = report.position >= 0
        place, size = report.position[there], len(vocabulary)
        total = np.bincount(place, weights=self.total[there], minlength=size)
        spots = np.bincount(place, weights=self.detected[there], minlength=size)
        return np.divide(total, spots, out=np.full(size, np.nan), where=spots > 0)


def _read_statistics(path: Path) -> _Statistics:
    import pandas as pd
    from pyarrow import ArrowInvalid

    remedy = "give the Parquet of the stage gene_statistics"
    if not path.is_file():
        raise DataContractError(path, "statistics", expected="a Parquet file", found="no such file", remedy=remedy)
    try:
        frame = pd.read_parquet(path, columns=STATISTICS_COLUMNS)
    except (ArrowInvalid, KeyError, ValueError) as error:
        expected = f"a Parquet file with {', '.join(STATISTICS_COLUMNS)}"
        raise DataContractError(path, "statistics", expected=expected, found=str(error)[:80], remedy=remedy) from error
    return _Statistics(
        genes=frame["gene_id"].tolist(),
        symbols=frame["symbol"].tolist(),
        total=frame["total"].to_numpy(np.float64),
        detected=frame["n_detected"].to_numpy(np.float64),
    )


def _check_given(rule: RankRule, **files: str | Path | None) -> None:
    wrong = None
    if rule.vocab == "build" and (files["vocabulary"] or files["means"]):
        wrong = "vocab: build", "no vocabulary and no means file", "the training slides give both"
    elif rule.vocab != "build" and not files["vocabulary"]:
        wrong = f"vocab: {rule.vocab}", "a vocabulary file", "name one, or set vocab: build"
    elif not (files["means"] or files["statistics"]):
        wrong = "means", "a means file, or statistics of the training slides", "name one of them"
    if wrong:
        field, expected, remedy = wrong
        found = ", ".join(name for name, path in files.items() if path) or "none"
        raise DataContractError("config.yaml", f"tokens.{field}", expected=expected, found=found, remedy=remedy)
