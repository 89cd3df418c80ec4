import contextlib

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.normalise import library_size_of, sparse_to_space
from stainscript.genes.variability.seurat_v3 import seurat_v3_ranks
from stainscript.genes.variability.trend import merged_ranks
from stainscript.types import Space

GENES = [f"g{number:03d}" for number in range(400)]


def slide(counts, name, genes=GENES):
    return anndata.AnnData(
        sparse.csr_matrix(counts.astype(np.int32)),
        obs=pd.DataFrame(index=[f"{name}-{number}" for number in range(len(counts))]),
        var=pd.DataFrame({"symbol": list(genes)}, index=list(genes)),
        uns={"dataset": "toy", "slide": name},
    )


@pytest.fixture(scope="module")
def slides():
    """Three slides of 90, 130 and 60 spots; gamma-Poisson counts, so that genes of one mean differ in variance."""
    rng = np.random.default_rng(11)
    mean, shape = np.exp(rng.normal(1.0, 1.2, size=400)), np.exp(rng.normal(0.5, 1.0, size=400))
    shift = np.exp(rng.normal(0, 0.3, size=(3, 400)))
    return [
        slide(rng.poisson(mean * shift[number] * rng.gamma(shape, 1 / shape, size=(spots, 400))), name)
        for number, (name, spots) in enumerate((("A", 90), ("B", 130), ("C", 60)))
    ]


@pytest.fixture(scope="module")
def sections(shared_data):
    """Six HER2+ sections of one patient, their common genes."""
    found = []
    for path in sorted((shared_data / "her2st/data/ST-cnts").glob("A*.tsv.gz")):
        table = pd.read_csv(path, sep="\t", index_col=0)
        found.append(slide(table.to_numpy(), path.name.removesuffix(".tsv.gz"), table.columns))
    common = sorted(set.intersection(*(set(part.var_names) for part in found)))
    return [part[:, common].copy() for part in found]


def by_scanpy(slides, *, n, space, batch_key=None):
    """Genes that scanpy finds in memory, in its order."""
    parts = []
    for part in slides:
        library = library_size_of(part.X)
        values = sparse_to_space(part.X, space=space, library_size=library)
        parts.append(anndata.AnnData(values, obs=part.obs.assign(slide=part.uns["slide"]), var=part.var))
    whole = anndata.concat(parts)
    with (
        pytest.warns(UserWarning, match="expects raw count data") if space != Space.COUNTS else contextlib.nullcontext()
    ):
        sc.pp.highly_variable_genes(whole, flavor="seurat_v3", n_top_genes=n, batch_key=batch_key)
    found = whole.var[whole.var["highly_variable"]].copy()
    keys = ["highly_variable_rank"] + (["highly_variable_nbatches"] if batch_key else [])
    return found.sort_values(keys, ascending=[True, False][: len(keys)], kind="stable").index.tolist()


def in_order(ranks, genes=GENES):
    return [genes[place] for place in np.argsort(ranks, kind="stable")[np.count_nonzero(ranks < 0) :]]


@pytest.mark.parametrize("space", [Space.COUNTS, Space.LOG1P_CP10K])
@pytest.mark.parametrize("batches", ["pooled", "slide"])
@pytest.mark.parametrize("n", [50, 300])
def test_genes_and_order_are_those_of_scanpy(slides, space, batches, n):
    ranks = seurat_v3_ranks(slides, gene_ids=GENES, n=n, space=space, batches=batches)
    expected = by_scanpy(slides, n=n, space=space, batch_key="slide" if batches == "slide" else None)
    assert in_order(ranks) == expected
    assert sorted(ranks[ranks >= 0]) == list(range(n))


@pytest.mark.real
@pytest.mark.parametrize("space", [Space.COUNTS, Space.LOG1P_CP10K])
@pytest.mark.parametrize("batches", ["pooled", "slide"])
def test_six_real_sections_give_the_5000_genes_of_scanpy_in_order(sections, space, batches):
    genes = sections[0].var_names.tolist()
    expected = by_scanpy(sections, n=5000, space=space, batch_key="slide" if batches == "slide" else None)
    ranks = seurat_v3_ranks(sections, gene_ids=genes, n=5000, space=space, batches=batches, ties="scanpy")
    assert in_order(ranks, genes) == expected


def test_the_switches_change_the_genes(slides):
    def chosen(space, batches):
        return tuple(seurat_v3_ranks(slides, gene_ids=GENES, n=50, space=space, batches=batches))

    assert len({chosen(s, b) for s in (Space.COUNTS, Space.LOG1P_CP10K) for b in ("pooled", "slide")}) == 4


def test_files_slides_in_memory_and_any_block_give_the_same(slides, tmp_path):
    paths = []
    for part in slides:
        paths.append(tmp_path / f"{part.uns['slide']}.h5ad")
        part.write_h5ad(paths[-1])
    options = {"gene_ids": GENES, "n": 100, "space": Space.LOG1P_CP10K, "batches": "slide"}
    expected = seurat_v3_ranks(slides, **options)
    for block_spots in (7, 64, 8192):
        for scheduler in (None, "synchronous"):
            found = seurat_v3_ranks(paths, block_spots=block_spots, scheduler=scheduler, **options)
            np.testing.assert_array_equal(found, expected)


def test_genes_are_ranked_among_those_named_and_in_the_order_named(slides):
    some = GENES[300:99:-1]
    ranks = seurat_v3_ranks(slides, gene_ids=some, n=60, space=Space.COUNTS)
    assert in_order(ranks, some) == by_scanpy([part[:, some] for part in slides], n=60, space=Space.COUNTS)


def test_the_library_is_summed_over_genes_that_are_not_ranked(slides):
    """STAMP's text: each slide is normalised before the slides are cut to their common genes."""
    more = [slide(part.X.toarray(), part.uns["slide"]) for part in slides]
    more[0].X = sparse.csr_matrix(np.hstack([more[0].X.toarray()[:, :399], np.full((90, 1), 10_000)]).astype(np.int32))
    options = {"gene_ids": GENES[:399], "n": 399, "space": Space.LOG1P_CP10K}
    assert not np.array_equal(seurat_v3_ranks(slides, **options), seurat_v3_ranks(more, **options))


def test_a_gene_is_judged_on_the_slides_that_measure_it(slides):
    """Left out of slide C, a gene is ranked there by nobody; scanpy, given zeros, finds it constant, hence last."""
    without = [*slides[:2], slides[2][:, [gene for gene in GENES if gene != "g007"]].copy()]
    zeros = [*slides[:2], slides[2].copy()]
    filled = zeros[2].X.toarray()
    filled[:, 7] = 0
    zeros[2].X = sparse.csr_matrix(filled)
    ranks = seurat_v3_ranks(without, gene_ids=GENES, n=200, space=Space.COUNTS, batches="slide")
    assert in_order(ranks) == by_scanpy(zeros, n=200, space=Space.COUNTS, batch_key="slide")


def test_an_empty_slide_and_a_slide_of_one_spot_rank_nothing(slides):
    expected = seurat_v3_ranks(slides, gene_ids=GENES, n=50, space=Space.COUNTS, batches="slide")
    more = [*slides, slide(np.zeros((0, 400)), "D"), slide(np.ones((1, 400)), "E")]
    found = seurat_v3_ranks(more, gene_ids=GENES, n=50, space=Space.COUNTS, batches="slide")
    np.testing.assert_array_equal(found, expected)


def test_median_ranks_are_merged_by_hand():
    """Within the first 2: gene 0 in both batches (ranks 1 and 1), gene 1 in the first (0), gene 2 in the second (0)."""
    scores = np.array([[2.0, 3.0, 1.0, 0.5], [2.0, np.nan, 3.0, 0.5]])
    assert merged_ranks(scores, n=2, ties="place").tolist() == [-1, 0, 1, -1]
    assert merged_ranks(scores, n=3, ties="place").tolist() == [1, 0, 2, -1]


def test_among_equal_median_ranks_more_batches_come_first_and_then_the_first_gene():
    scores = np.array([[3.0, 1.0, 2.0], [1.0, 3.0, 2.0], [3.0, 2.0, 1.0]])
    # within the first 2: gene 0 has ranks 0 and 0; gene 1 has 0 and 1; gene 2 has 1 and 1
    assert merged_ranks(scores, n=2, ties="place").tolist() == [0, 1, -1]
    assert merged_ranks(np.array([[1.0, 1.0, 1.0]]), n=2, ties="place").tolist() == [0, 1, -1]


def test_too_few_genes_for_the_fit_are_one_clear_error(slides):
    with pytest.raises(DataContractError) as caught:
        seurat_v3_ranks(slides, gene_ids=GENES[:13], n=5, space=Space.COUNTS)
    assert "3 slides: seurat_v3: expected genes of enough different means" in str(caught.value)
    assert "found 13 genes that vary" in str(caught.value)


def test_a_slide_whose_genes_all_have_one_mean_is_named(slides):
    same = np.zeros((20, 400))
    same[np.arange(400) % 20, np.arange(400)] = 1
    with pytest.raises(DataContractError, match=r"slide D: seurat_v3: .* with 1 different means"):
        seurat_v3_ranks([*slides, slide(same, "D")], gene_ids=GENES, n=5, space=Space.COUNTS, batches="slide")


@pytest.mark.parametrize(
    ("genes", "found"), [([], "found none"), (["g001", "GHOST", "PHANTOM"], "found GHOST and 1 more")]
)
def test_no_gene_and_a_gene_measured_nowhere_are_named(slides, genes, found):
    with pytest.raises(DataContractError, match=f"gene_ids: expected at least 1 gene to rank.*{found}"):
        seurat_v3_ranks(slides, gene_ids=genes, n=5, space=Space.COUNTS)
