"""All 36 HER2+ sections become rank tokens under both presets, and they are those of the plain loop."""

import gzip

import numpy as np
import pytest
from scipy import sparse

from stainscript.genes.identifiers.names import builtin
from stainscript.genes.moments import sums_of
from stainscript.genes.tokens.onto_vocabulary import match_vocabulary
from stainscript.genes.tokens.rank import RankTokeniser, gene_weights, lengths_of, rank_tokens_by_spot
from stainscript.genes.tokens.rules import PRESETS
from stainscript.genes.tokens.vocabulary import build_genes, stamp_vocabulary


def read_section(path):
    """Gene symbols and counts (S, G) of one section."""
    head, body = gzip.decompress(path.read_bytes()).split(b"\n", 1)
    genes = head.decode().split("\t")[1:]
    rows = [line.split(b"\t", 1)[1] for line in body.splitlines()]
    counts = np.fromstring(b"\t".join(rows), dtype=np.int32, sep="\t").reshape(len(rows), len(genes))
    return genes, sparse.csr_matrix(counts)


@pytest.fixture(scope="module")
def sections(shared_data):
    paths = sorted((shared_data / "her2st/data/ST-cnts").glob("*.tsv.gz"))
    return {path.name.removesuffix(".tsv.gz"): read_section(path) for path in paths}


@pytest.mark.parametrize("name", PRESETS)
def test_every_section_is_tokenised_by_the_means_of_seven_patients(sections, name):
    """Patient A is held out: the vocabulary and the means are those of the other seven."""
    rule = PRESETS[name]
    training = {section: parts for section, parts in sections.items() if section[0] != "A"}
    genes = build_genes(gene for names, _ in training.values() for gene in names)
    vocabulary = stamp_vocabulary(genes, id_offset=rule.id_offset, path="training slides")
    names = builtin("human") if rule.aliases else None
    matched = {
        section: match_vocabulary(listed, vocabulary, merge=rule.gene_merge, names=names)
        for section, (listed, _) in sections.items()
    }
    sums = [sums_of(matched[section].apply(counts)) for section, (_, counts) in training.items()]
    total, detected = (np.sum([getattr(part, key) for part in sums], axis=0) for key in ("total", "detected"))
    means = np.divide(total, detected, out=np.full(len(genes), np.nan), where=detected > 0)
    weights = gene_weights(means, rounding=rule.mean_rounding)
    options = {"length": rule.length, "id_offset": rule.id_offset, "keep_zeros": rule.keep_explicit_zeros}
    ranks = RankTokeniser(weights, **options)
    spots = 0
    for section, (_, counts) in sections.items():
        moved = matched[section].apply(counts)
        tokens = ranks.tokens(moved)
        spots += len(tokens)
        np.testing.assert_array_equal(lengths_of(tokens), np.minimum(np.diff(moved.indptr), rule.length))
        np.testing.assert_array_equal(tokens[:40], rank_tokens_by_spot(moved[:40], weights, **options), section)
    assert (len(sections), spots) == (36, 13620)
