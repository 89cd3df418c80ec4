import math
from fractions import Fraction

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from distributed import LocalCluster
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.statistics import block_sums
from stainscript.genes.statistics.table import gene_statistics, hvg_of
from stainscript.genes.variability.seurat import standardised_dispersion
from stainscript.genes.variability.seurat_v3 import seurat_v3_ranks
from stainscript.types import Space

NONE = {"n": 1, "flavours": [], "space": "counts", "batches": "slide"}
BOTH = {"n": 60, "flavours": ["seurat", "seurat_v3"], "space": "counts", "batches": "slide"}


def slide(counts, genes, name, symbols=None):
    counts = np.asarray(counts)
    return anndata.AnnData(
        sparse.csr_matrix(counts.astype(np.int32)),
        obs=pd.DataFrame(index=[f"spot{number}" for number in range(len(counts))]),
        var=pd.DataFrame({"symbol": symbols or [gene.upper() for gene in genes]}, index=list(genes)),
        uns={"dataset": "toy", "slide": name},
    )


def statistics(slides, *, hvg=NONE, block_spots=2, scheduler="synchronous"):
    return gene_statistics(slides, hvg=hvg_of(hvg), block_spots=block_spots, scheduler=scheduler)


@pytest.fixture
def two_slides():
    """P measures a, b, c, d; Q measures c, a, e in that order. b and e are never seen."""
    p = slide([[1, 0, 0, 2], [0, 0, 0, 0], [3, 0, 1, 0]], "abcd", "P")
    q = slide([[4, 1, 0], [0, 3, 0]], "cae", "Q", symbols=["gamma", "alpha", "epsilon"])
    return [p, q]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Three files of 40, 25 and 33 spots; 200 genes, 20 of them on the first and last slide alone."""
    rng = np.random.default_rng(3)
    genes = [f"g{number:03d}" for number in range(200)]
    mean, shape = np.exp(rng.normal(1.0, 1.0, size=200)), np.exp(rng.normal(0.5, 1.0, size=200))
    paths = []
    for name, spots in (("A", 40), ("B", 25), ("C", 33)):
        counts = rng.poisson(mean * rng.gamma(shape, 1 / shape, size=(spots, 200)))
        counts[3] = 0
        measured = slice(0, 180) if name == "B" else slice(0, 200)
        paths.append(tmp_path_factory.getbasetemp() / f"statistics-{name}.h5ad")
        slide(counts[:, measured], genes[measured], name).write_h5ad(paths[-1])
    return paths


def test_the_columns_by_hand(two_slides):
    found, _ = statistics(two_slides)
    assert found["gene_id"].tolist() == ["a", "b", "c", "d", "e"]
    assert found["symbol"].tolist() == ["A", "B", "C", "D", "epsilon"]
    assert found["n_slides"].tolist() == [2, 1, 2, 1, 1]
    assert found["n_spots"].tolist() == [5, 3, 5, 3, 2]
    assert found["n_detected"].tolist() == [4, 0, 2, 1, 0]
    assert found["total"].tolist() == [8, 0, 5, 2, 0]
    assert found["mean"].tolist() == [1.6, 0.0, 1.0, 2 / 3, 0.0]
    assert found["variance"].tolist() == [1.44, 0.0, 2.4, 8 / 9, 0.0]
    np.testing.assert_array_equal(found["nonzero_mean"], [2.0, np.nan, 2.5, 2.0, np.nan])
    assert (found[["seurat_rank", "seurat_v3_rank"]] == -1).all(axis=None)


def test_log_values_by_hand(two_slides):
    """Library sizes 3, 0 and 4 on P, 5 and 3 on Q, over all genes of the slide."""
    found, _ = statistics(two_slides)
    logs = [math.log1p(1e4 / 3), 0.0, math.log1p(3e4 / 4), math.log1p(1e4 / 5), math.log1p(1e4)]
    assert found["mean_log1p_cp10k"][0] == pytest.approx(np.mean(logs), rel=1e-14)
    assert found["variance_log1p_cp10k"][0] == pytest.approx(np.var(logs), rel=1e-14)
    assert found["mean_log1p_cp10k"][3] == pytest.approx(math.log1p(2e4 / 3) / 3, rel=1e-14)


def test_the_quality_of_each_slide_comes_in_the_order_given(two_slides):
    _, quality = statistics(two_slides[::-1])
    assert [(part["dataset"], part["slide"]) for part in quality] == [("toy", "Q"), ("toy", "P")]
    assert [part["spots"] for part in quality] == [2, 3]
    assert [part["empty_spots"] for part in quality] == [0, 1]
    assert [(part["genes_measured"], part["genes_seen"]) for part in quality] == [(3, 2), (4, 3)]
    assert quality[1]["counts_per_spot"] == pytest.approx({"min": 0, "q05": 0.3, "median": 3, "q95": 3.9, "max": 4})


def test_the_order_of_the_slides_changes_no_number(cohort):
    one, other = (statistics(paths, hvg=BOTH)[0] for paths in (cohort, cohort[::-1]))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@settings(max_examples=40, deadline=None)
@given(
    counts=arrays(np.int64, (7, 3), elements=st.one_of(st.integers(0, 3), st.integers(0, 2**31 - 1))),
    cut=st.integers(0, 7),
    block=st.integers(1, 8),
)
def test_counts_are_exact_against_the_answer_in_memory(counts, cut, block):
    slides = [slide(counts[:cut], "abc", "P"), slide(counts[cut:], "abc", "Q")]
    found, _ = statistics(slides, block_spots=block)
    for gene, column in enumerate(counts.T.tolist()):
        mean, seen = Fraction(sum(column), 7), [x for x in column if x]
        assert found["total"][gene] == sum(column)
        assert found["n_detected"][gene] == len(seen)
        assert found["mean"][gene] == float(mean)
        assert found["variance"][gene] == float(sum((x - mean) ** 2 for x in column) / 7)
        if seen:
            assert found["nonzero_mean"][gene] == float(Fraction(sum(seen), len(seen)))


@pytest.mark.parametrize("flavours", [[], ["seurat"], ["seurat_v3"]])
def test_logs_are_those_in_memory(cohort, flavours):
    found, _ = statistics(cohort, hvg={**BOTH, "flavours": flavours})
    values = {}
    for path in cohort:
        adata = anndata.read_h5ad(path)
        counts = adata.X.toarray()
        logs = np.log1p(1e4 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
        for gene, column in zip(adata.var_names, logs.T, strict=True):
            values.setdefault(gene, []).append(column)
    expected = [np.concatenate(values[gene]) for gene in found["gene_id"]]
    np.testing.assert_allclose(found["mean_log1p_cp10k"], [part.mean() for part in expected], rtol=1e-12)
    np.testing.assert_allclose(found["variance_log1p_cp10k"], [part.var() for part in expected], rtol=1e-11)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(block=st.integers(1, 60), piece=st.integers(1, 60), batches=st.sampled_from(["slide", "pooled"]))
def test_blocks_of_any_size_give_the_same_to_the_last_bit(cohort, block, piece, batches):
    hvg = {**BOTH, "batches": batches, "space": "log1p_cp10k"}
    expected = statistics(cohort, hvg=hvg, block_spots=8192)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_sums, "PIECE_SPOTS", piece)
        found = statistics(cohort, hvg=hvg, block_spots=block)
    pd.testing.assert_frame_equal(found[0], expected[0], check_exact=True)
    assert found[1] == expected[1]


def test_threads_and_a_cluster_give_the_same_to_the_last_bit(cohort):
    expected = statistics(cohort, hvg=BOTH, block_spots=5, scheduler="synchronous")
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        for scheduler in ("threads", None, cluster.scheduler_address):
            found = statistics(cohort, hvg=BOTH, block_spots=5, scheduler=scheduler)
            pd.testing.assert_frame_equal(found[0], expected[0], check_exact=True)
            assert found[1] == expected[1]


def test_a_fault_on_a_worker_is_the_same_clear_error(cohort, tmp_path):
    bad = slide([[1, 0]], "ab", "bad")
    bad.X.data[0] = -1
    bad.write_h5ad(tmp_path / "bad.h5ad")
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        for scheduler in (None, cluster.scheduler_address):
            with pytest.raises(DataContractError, match=r"bad.h5ad: X: expected counts from 0 to 2147483647; found -1"):
                statistics([*cohort, tmp_path / "bad.h5ad"], scheduler=scheduler)


def test_no_more_than_a_block_is_read_at_once(cohort, monkeypatch):
    read = []
    read_block = block_sums.read_block
    monkeypatch.setattr(block_sums, "read_block", lambda path, rows: read.append(rows) or read_block(path, rows))
    monkeypatch.setattr(anndata, "read_h5ad", None)
    statistics(cohort, hvg=NONE, block_spots=10)
    assert max(rows.stop - rows.start for rows in read) == 10
    assert sum(rows.stop - rows.start for rows in read) == 98


def test_seurat_is_the_dispersion_of_all_spots_as_one_slide(cohort):
    """Genes that every slide measures; the score of the one-slide flavour, and scanpy's."""
    slides = [anndata.read_h5ad(path)[:, :180].copy() for path in cohort]
    found, _ = statistics(slides, hvg={**BOTH, "flavours": ["seurat"]})
    whole = anndata.concat(slides, index_unique="-")
    ranks = found["seurat_rank"].to_numpy()
    score = standardised_dispersion(whole.X)
    np.testing.assert_array_equal(np.argsort(-score, kind="stable")[:60], np.argsort(ranks)[np.sum(ranks < 0) :])
    sc.pp.filter_cells(whole, min_counts=1)
    whole.X = whole.X.astype(float)
    sc.pp.normalize_total(whole)
    sc.pp.log1p(whole)
    sc.pp.highly_variable_genes(whole, flavor="seurat", n_top_genes=60)
    order = np.argsort(-whole.var["dispersions_norm"].to_numpy(), kind="stable")[:60]
    np.testing.assert_array_equal(order, np.argsort(ranks)[np.sum(ranks < 0) :])


@pytest.mark.parametrize("batches", ["slide", "pooled"])
@pytest.mark.parametrize("space", ["counts", "log1p_cp10k"])
def test_seurat_v3_is_the_ranking_of_all_genes(cohort, batches, space):
    found, _ = statistics(cohort, hvg={"n": 60, "flavours": ["seurat_v3"], "space": space, "batches": batches})
    options = {"n": 60, "space": Space(space), "batches": batches}
    expected = seurat_v3_ranks(cohort, gene_ids=found["gene_id"].tolist(), **options)
    np.testing.assert_array_equal(found["seurat_v3_rank"], expected)
    assert sorted(expected[expected >= 0]) == list(range(60))


def test_an_empty_slide_counts_as_a_slide_and_changes_no_mean(two_slides):
    one, _ = statistics(two_slides)
    other, quality = statistics([*two_slides, slide(np.zeros((0, 2)), ["a", "z"], "R")])
    assert other["gene_id"].tolist() == ["a", "b", "c", "d", "e", "z"]
    assert other["n_slides"].tolist() == [3, 1, 2, 1, 1, 1]
    same = [name for name in one.columns if name != "n_slides"]
    pd.testing.assert_frame_equal(other[same][:5], one[same], check_exact=True)
    assert other[["n_spots", "total"]].iloc[5].tolist() == [0, 0]
    assert other[["mean", "variance", "nonzero_mean", "mean_log1p_cp10k"]].iloc[5].isna().all()
    assert quality[2]["spots"] == 0


def test_slides_without_a_common_gene_are_joined(two_slides):
    found, _ = statistics([slide([[1, 2]], "ab", "P"), slide([[3, 4]], "cd", "Q")])
    assert found["gene_id"].tolist() == ["a", "b", "c", "d"]
    assert found["n_spots"].tolist() == [1, 1, 1, 1]
    assert found["total"].tolist() == [1, 2, 3, 4]


def test_slides_without_a_count_have_no_rank():
    found, _ = statistics([slide(np.zeros((3, 2)), "ab", "P")], hvg=BOTH)
    assert (found[["seurat_rank", "seurat_v3_rank"]] == -1).all(axis=None)


def test_a_stored_0_is_no_detection():
    adata = slide([[5, 1]], "ab", "P")
    adata.X.data[0] = 0
    assert statistics([adata])[0]["n_detected"].tolist() == [0, 1]


def test_no_slide_and_a_slide_given_twice_are_refused(two_slides):
    with pytest.raises(DataContractError, match="slides: expected at least 1 slide; found none"):
        statistics([])
    with pytest.raises(
        DataContractError, match=r"expression/toy/P.h5ad: slide: expected each slide once; found P again"
    ):
        statistics([*two_slides, two_slides[0]])


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        (
            "flavours",
            ["seurat3"],
            r"statistics.flavours: expected one of seurat, seurat_v3; found 'seurat3'. Remedy: did you",
        ),
        ("space", "cp10k", "statistics.space: expected one of counts, log10p1_cp10k"),
        ("batches", "patient", "statistics.batches: expected one of pooled, slide; found 'patient'"),
        ("n", 0, "statistics.n: expected 1 or more; found 0"),
        ("flavour", "seurat", "statistics: expected one of batches, flavours, n, space; found 'flavour'"),
    ],
)
def test_options_that_nobody_knows_are_named(option, value, message):
    with pytest.raises(DataContractError, match=message):
        hvg_of({**BOTH, option: value})
