"""The stage that tokenises a slide: tokens by hand, a block at a time, and every file that does not fit named."""

import pickle

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stainscript.artifacts import stores
from stainscript.artifacts.stores import open_store
from stainscript.errors import DataContractError
from stainscript.genes.panels.file import write_panel
from stainscript.genes.tokens.rules import PRESETS, CountRule, rule_dict
from stainscript.stages import tokenise_slide as module
from stainscript.stages.gene_statistics import gene_statistics
from stainscript.stages.tokenise_slide import tokenise_slide
from stainscript.types import Panel

PAPER = rule_dict(PRESETS["paper"]) | {"length": 4, "aliases": False}
BUILD = {**PAPER, "vocab": "build"}
RELEASE = rule_dict(PRESETS["release"]) | {"length": 4}


class Files:
    """One slide of genes a, b, c, d, statistics of two training slides, and what else a test writes."""

    def __init__(self, folder):
        self.folder = folder
        self.slide("A1", "abcd", [[3, 0, 8, 1], [0, 0, 0, 0], [1, 1, 1, 1]])
        # c: 36 counts over 5 spots, mean 7.2; e is not on the slide, d is on no training slide
        self.statistics({"e": (9, 3), "c": (36, 5), "a": (14, 10), "b": (8, 4)})

    def slide(self, name, genes, counts, *, symbols=None):
        genes = list(genes)
        adata = anndata.AnnData(
            sparse.csr_matrix(np.array(counts, dtype=np.int32)),
            obs=pd.DataFrame(index=[f"{name}-{n}" for n in range(len(counts))]),
            var=pd.DataFrame({"symbol": symbols or genes}, index=genes),
            uns={"dataset": "toy", "slide": name, "patient": name[0]},
        )
        adata.write_h5ad(self.folder / f"{name}.h5ad")

    def statistics(self, sums):
        frame = pd.DataFrame(
            [(gene, gene, total, spots) for gene, (total, spots) in sums.items()],
            columns=["gene_id", "symbol", "total", "n_detected"],
        )
        frame.to_parquet(self.folder / "statistics.parquet")

    def panel(self, *genes):
        panel = Panel(
            name="p",
            gene_ids=genes,
            symbols=genes,
            mean=(0.0,) * len(genes),
            variance=(0.0,) * len(genes),
            training_slides=("B1", "C1"),
        )
        write_panel(self.folder / "panel.tsv", panel)
        return panel

    def run(self, rule, *, slide="A1", **given):
        options = dict.fromkeys(("statistics", "panel", "vocabulary", "means"))
        options |= {"statistics": self.folder / "statistics.parquet"} if rule["kind"] == "rank" else {}
        options |= {key: self.folder / value if isinstance(value, str) else value for key, value in given.items()}
        options |= {"species": given["species"]} if "species" in given else {}
        tokenise_slide(expression=self.folder / f"{slide}.h5ad", rule=rule, out=self.folder / "tokens", **options)
        return open_store(self.folder / "tokens", "tokens")


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def test_rank_tokens_by_the_training_slides_vocabulary_and_means(files):
    """Vocabulary a b c e; means 1.4, 2, 7.2, 3. Spot 0: 3/1.4, 8/7.2; spot 2: 1/1.4, 1/2, 1/7.2. d is unknown."""
    store = files.run(BUILD, training_slides=["C1", "B1"])
    assert store["tokens"].tolist() == [[1, 3, 0, 0], [0, 0, 0, 0], [1, 2, 3, 0]]
    assert store.ids("spot_id").tolist() == ["A1-0", "A1-1", "A1-2"]
    assert store.attrs["rule"] == BUILD
    assert (store.attrs["dataset"], store.attrs["slide"]) == ("toy", "A1")
    assert store.attrs["training_slides"] == ["B1", "C1"]
    assert (store.attrs["mapped"], store.attrs["unmapped"]) == (3, 1)


def test_a_gene_that_the_training_slides_never_show_has_mean_1(files):
    """d: 1/1 is second; without spots that show it, a division by 0 would have put it first or nowhere."""
    files.statistics({"c": (36, 5), "a": (14, 10), "b": (8, 4), "d": (0, 0)})
    assert files.run(BUILD)["tokens"][0].tolist() == [1, 3, 4, 0]


def test_a_vocabulary_file_with_the_means_of_a_corpus(files):
    (files.folder / "v.txt").write_text("d\nc\nb\na\n")
    np.save(files.folder / "m.npy", np.array([0.6, 7.2, 2.0, 1.4]))
    store = files.run(PAPER, vocabulary="v.txt", means="m.npy")
    assert store["tokens"][0].tolist() == [4, 1, 2, 0]


def test_the_means_of_a_corpus_win_over_statistics_which_win_over_nothing(files):
    (files.folder / "v.txt").write_text("a\nb\nc\nd\n")
    assert files.run(PAPER, vocabulary="v.txt")["tokens"][0].tolist() == [1, 3, 4, 0]  # d has mean 1
    with pytest.raises(DataContractError, match=r"tokens\.means: expected a means file, or statistics"):
        files.run(PAPER, vocabulary="v.txt", statistics=None)


def test_the_release_with_its_three_files(files):
    """Symbols by the pickled map, means rounded, ids from 30: 3/1, 8/7, 1/1."""
    files.slide("S1", ["A", "B", "ENSG00000000007", "D"], [[3, 0, 8, 1]])
    ids = {name: f"ENSG0000000000{n}" for name, n in (("A", 1), ("B", 3), ("D", 9))}
    (files.folder / "ids.pkl").write_bytes(pickle.dumps(ids))
    genes = [f"ENSG0000000000{n}" for n in (1, 3, 7, 9)]
    anndata.AnnData(np.ones((1, 4)), var=pd.DataFrame(index=genes)).write_h5ad(files.folder / "model.h5ad")
    np.save(files.folder / "m.npy", np.array([1.4, 2.0, 7.2, 0.6]))
    given = {"vocabulary": "model.h5ad", "means": "m.npy", "symbols": "ids.pkl"}
    assert files.run(RELEASE, slide="S1", **given)["tokens"].tolist() == [[30, 32, 33, 0]]


def test_the_human_part_of_a_vocabulary_takes_its_own_means_along(files):
    genes = ["ENSG00000000001", "ENSG00000000001-1", "ENSG00000000009", "ENSMUSG00000000001"]
    files.slide("S1", genes, [[6, 6, 6, 6]])
    (files.folder / "v.txt").write_text("\n".join(genes))
    np.save(files.folder / "m.npy", np.array([2.0, np.nan, 1.5, 1.0]))
    rule = {**PAPER, "vocab": "human_only"}
    assert files.run(rule, slide="S1", vocabulary="v.txt", means="m.npy")["tokens"].tolist() == [[2, 1, 0, 0]]


def test_old_symbols_are_found_for_a_species_alone(files):
    files.slide("S1", ["ATP5B", "ATP5F1B", "ERBB2"], [[2, 3, 1]])
    (files.folder / "v.txt").write_text("ERBB2\nATP5F1B\n")
    files.statistics({"ATP5B": (6, 3), "ATP5F1B": (4, 2), "ERBB2": (8, 2)})
    given = {"slide": "S1", "vocabulary": "v.txt"}
    exact = files.run(PAPER, **given)
    assert (exact.attrs["mapped"], exact["tokens"].tolist()) == (2, [[2, 1, 0, 0]])
    named = files.run({**PAPER, "aliases": True}, species="human", **given)
    assert named.attrs["merged"] == {"ATP5F1B": ["ATP5B", "ATP5F1B"]}
    with pytest.raises(DataContractError, match="species: expected human or mouse"):
        files.run({**PAPER, "aliases": True}, **given)


def test_count_tokens_are_the_panels_counts_with_their_genes(files):
    panel = files.panel("c", "a")
    store = files.run(rule_dict(CountRule(cap=5)), panel="panel.tsv")
    assert store["tokens"].tolist() == [[5, 3], [0, 0], [1, 1]]
    assert store.ids("gene_id").tolist() == ["c", "a"]
    assert store.attrs["vocabulary_sha256"] == panel.sha256
    assert store.attrs["training_slides"] == ["B1", "C1"]


def test_a_panel_gene_that_the_slide_lacks_is_an_error_that_leaves_no_store(files):
    files.panel("c", "x")
    with pytest.raises(DataContractError, match=r"A1\.h5ad: gene_id: expected all 2 genes of the panel; found no x"):
        files.run(rule_dict(CountRule(cap=5)), panel="panel.tsv")
    with pytest.raises(DataContractError, match="expected a panel, for kind: count"):
        files.run(rule_dict(CountRule(cap=5)))
    assert not (files.folder / "tokens").exists()


def test_counts_are_read_a_block_at_a_time_and_give_what_one_block_gives(files, monkeypatch):
    rng = np.random.default_rng(0)
    files.slide("L1", "abcd", rng.poisson(2, size=(11, 4)))
    whole = files.run(BUILD, slide="L1")["tokens"]
    monkeypatch.setattr(stores, "CHUNK_SPOTS", 2)
    monkeypatch.setattr(stores, "SHARD_CHUNKS", 2)
    read, seen = module.read_block, []
    monkeypatch.setattr(module, "read_block", lambda path, spots: seen.append(spots) or read(path, spots))
    parts = files.run(BUILD, slide="L1", workers=2)["tokens"]
    assert seen == [slice(0, 4), slice(4, 8), slice(8, 11)]
    np.testing.assert_array_equal(parts, whole)


def test_a_slide_in_other_names_than_the_vocabulary_is_refused(files):
    (files.folder / "v.txt").write_text("ENSG00000000001\nENSG00000000003\n")
    with pytest.raises(DataContractError) as caught:
        files.run(PAPER, vocabulary="v.txt")
    assert caught.value.field == "gene_id"
    assert "such as ENSG00000000001" in caught.value.expected
    assert caught.value.found == "none among 4, the first a"


@pytest.mark.parametrize(
    ("rule", "given", "said"),
    [
        (BUILD, {"vocabulary": "v.txt"}, r"tokens\.vocab: build: expected no vocabulary and no means file"),
        (PAPER, {}, r"tokens\.vocab: released: expected a vocabulary file; found statistics"),
        (BUILD, {"statistics": None}, r"tokens\.means: expected a means file, or statistics.*; found none"),
        (BUILD, {"statistics": "absent.parquet"}, r"absent\.parquet: statistics: .*no such file"),
        (PAPER, {"vocabulary": "absent.txt"}, r"absent\.txt: vocabulary: .*no such file"),
        ({**BUILD, "lenght": 3}, {}, "did you mean 'length'"),
    ],
)
def test_files_that_a_rule_lacks_or_would_ignore_are_named(files, rule, given, said):
    with pytest.raises(DataContractError, match=said):
        files.run(rule, **given)
    assert not (files.folder / "tokens").exists()


def test_statistics_without_their_columns_are_refused(files):
    pd.DataFrame({"gene_id": ["a"], "mean": [1.0]}).to_parquet(files.folder / "statistics.parquet")
    with pytest.raises(DataContractError, match=r"statistics\.parquet: statistics: expected a Parquet file with"):
        files.run(BUILD)


def test_the_statistics_stage_gives_what_this_one_takes(files):
    """Two training slides: a 2, 4 → mean 3; b 5 → 5; c never. On the third slide 9/3, 10/5, and c by mean 1."""
    files.slide("B1", "abc", [[2, 0, 0], [4, 5, 0]])
    files.slide("C1", "bc", [[0, 0]])
    files.slide("T1", "abc", [[9, 10, 2]])
    folder = files.folder
    hvg = {"n": 1, "flavours": (), "space": "counts", "batches": "slide"}
    gene_statistics(
        expression=[folder / "B1.h5ad", folder / "C1.h5ad"],
        scheduler=None,
        block_spots=8,
        hvg=hvg,
        out=folder / "statistics.parquet",
        qc=folder / "qc.json",
    )
    assert files.run(BUILD, slide="T1")["tokens"].tolist() == [[1, 2, 3, 0]]
    files.slide("T1", "abc", [[9, 10, 4]])
    assert files.run(BUILD, slide="T1")["tokens"].tolist() == [[3, 1, 2, 0]]


def test_the_means_of_the_training_slides_decide_the_order(files):
    before = files.run(BUILD)["tokens"][0].tolist()
    files.statistics({"e": (9, 3), "c": (10, 10), "a": (14, 10), "b": (8, 4)})
    assert (before, files.run(BUILD)["tokens"][0].tolist()) == ([1, 3, 0, 0], [3, 1, 0, 0])
