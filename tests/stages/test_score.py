import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stainscript.artifacts.stores import write_store
from stainscript.config import Subsets, TargetSpace
from stainscript.errors import DataContractError
from stainscript.evaluation.correlation import pearson_per_gene
from stainscript.genes.normalise import target_matrix
from stainscript.genes.panels.file import write_panel
from stainscript.stages.score import score
from stainscript.types import Panel, Space, Target

GENES = tuple(f"g{n:02d}" for n in range(12))
SPOTS = 20
TARGET = Target(space=Space.LOG1P)


class Fold:
    """One fold on disk: two test slides with counts and predictions, and a panel of 10 of 12 measured genes."""

    def __init__(self, folder):
        self.folder = folder
        self.panel = Panel(
            name="p",
            gene_ids=GENES[9::-1],
            symbols=tuple(g.upper() for g in GENES[9::-1]),
            mean=tuple(range(10)),
            variance=tuple(range(10, 0, -1)),
            training_slides=("T1",),
        )
        write_panel(folder / "panel.tsv", self.panel)
        self.observed = {name: self.write_counts(name, seed) for seed, name in enumerate(("A1", "A2"))}
        rng = np.random.default_rng(9)
        self.predicted = {}
        for name, truth in self.observed.items():
            self.write_prediction(name, (truth + rng.normal(size=truth.shape)).astype(np.float32))

    def write_counts(self, name, seed):
        counts = np.random.default_rng(seed).poisson(4, size=(SPOTS, len(GENES)))
        adata = anndata.AnnData(
            sparse.csr_matrix(counts.astype(np.int32)),
            obs=pd.DataFrame(index=[f"{name}-{n}" for n in range(SPOTS)]),
            var=pd.DataFrame({"symbol": [g.upper() for g in GENES]}, index=list(GENES)),
            obsm={
                "grid": np.array([[n, 0] for n in range(SPOTS)]),
                "xy_px": np.array([[n, 2.0 * n] for n in range(SPOTS)]),
            },
            uns={"dataset": "toy", "slide": name, "patient": "A"},
        )
        adata.write_h5ad(self.folder / f"{name}.h5ad")
        return target_matrix(adata, gene_ids=self.panel.gene_ids, target=TARGET)

    def write_prediction(self, name, values, *, spots=None, genes=None, **attrs):
        self.predicted[name] = values
        stated = {"experiment": "e", "slide": name, "fold": 1, "seed": 4, "space": "log1p"}
        stated |= {"panel_sha256": self.panel.sha256, "checkpoint_sha256": "0"}
        arrays = {
            "predicted": values,
            "spot_id": np.array(spots or [f"{name}-{n}" for n in range(SPOTS)]),
            "gene_id": np.array(genes or self.panel.gene_ids),
        }
        write_store(self.folder / "predictions" / name, "predictions", arrays, stated | attrs)

    def score(self, *, out="out", subsets=None, **options):
        outputs = {f"{kind}_out": self.folder / out / f"{kind}.parquet" for kind in ("slides", "genes", "maps")}
        given = {
            "predictions": [self.folder / "predictions" / name for name in self.observed],
            "expression": [self.folder / f"{name}.h5ad" for name in reversed(self.observed)],
            "panel": self.folder / "panel.tsv",
            "target": TargetSpace(space="log1p").model_dump(mode="json"),
            "subsets": (subsets or Subsets(size=3, best=(2,))).model_dump(mode="json"),
            "experiment": "e",
            "dataset": "toy",
            "fold": 1,
            "seed": 4,
            "map_genes": ["G05", "ABSENT"],
        }
        score(**{**given, **outputs, **options})
        return tuple(pd.read_parquet(path) for path in outputs.values())


@pytest.fixture
def fold(tmp_path):
    return Fold(tmp_path)


def test_each_slide_meets_its_own_expression_whatever_the_order(fold):
    slides, genes, _ = fold.score()
    for name in ("A1", "A2"):
        expected = pearson_per_gene(fold.predicted[name], fold.observed[name])
        rows = genes[genes["slide"] == name]
        np.testing.assert_allclose(rows["pcc"], expected)
        assert rows["gene_id"].tolist() == list(fold.panel.gene_ids)
        value = slides.query("slide == @name and metric == 'pcc' and subset == 'all'")["value"].item()
        assert value == pytest.approx(expected.mean())


def test_rows_state_where_they_come_from(fold):
    slides, genes, _ = fold.score()
    assert slides.columns.tolist() == [
        "experiment", "fold", "seed", "dataset", "slide", "patient", "subset", "metric", "space", "value",
        "n_defined", "n_genes", "n_spots", "post_hoc",
    ]  # fmt: skip
    assert set(slides["subset"]) == {"all", "heg3", "hvg3", "best2"}
    head = ["experiment", "fold", "seed", "dataset", "patient", "space", "n_spots"]
    assert slides[head].drop_duplicates().to_numpy().tolist() == [["e", 1, 4, "toy", "A", "log1p", SPOTS]]
    assert genes[["experiment", "fold", "seed", "patient"]].drop_duplicates().to_numpy().tolist() == [["e", 1, 4, "A"]]


def test_rows_name_every_departure_of_the_target(fold):
    for name in fold.observed:
        fold.write_prediction(name, fold.predicted[name], space="log1p_cp10k")
    slides, _, _ = fold.score(target={"space": "log1p_cp10k", "library": "panel", "smooth": "grid3x3"})
    assert set(slides["space"]) == {"log1p_cp10k, panel library, 3×3 mean"}


def test_heg_and_hvg_follow_the_panels_statistics(fold):
    _, genes, _ = fold.score()
    one = genes[genes["slide"] == "A1"]
    assert one.loc[one["in_heg"], "gene_id"].tolist() == list(fold.panel.gene_ids[-3:])
    assert one.loc[one["in_hvg"], "gene_id"].tolist() == list(fold.panel.gene_ids[:3])


def test_subsets_of_the_whole_dataset_follow_its_labels(fold):
    subsets = Subsets(size=3, best=(2,), scope="dataset")
    cohort = [fold.folder / "A1.h5ad", fold.folder / "A2.h5ad"]
    _, genes, _ = fold.score(subsets=subsets, cohort=cohort)
    mean = np.concatenate(list(fold.observed.values())).mean(axis=0)
    one = genes[genes["slide"] == "A1"]
    assert np.flatnonzero(one["in_heg"]).tolist() == sorted(np.argsort(-mean)[:3])
    with pytest.raises(DataContractError, match="subsets: scope"):
        fold.score(subsets=subsets)


def test_maps_hold_the_genes_asked_for_the_best_and_the_worst(fold):
    _, _, maps = fold.score()
    pcc = np.mean([pearson_per_gene(fold.predicted[n], fold.observed[n]) for n in fold.observed], axis=0)
    order = np.array(fold.panel.symbols)[np.argsort(-pcc)]
    assert set(maps["symbol"]) == {"G05", *order[:6], *order[-2:]}
    column = fold.panel.symbols.index("G05")
    one = maps[(maps["slide"] == "A2") & (maps["symbol"] == "G05")]
    np.testing.assert_array_equal(one["predicted"], fold.predicted["A2"][:, column])
    np.testing.assert_array_equal(one["measured"], fold.observed["A2"][:, column])
    assert one["y_px"].tolist() == [2.0 * n for n in range(SPOTS)]


def test_equal_inputs_give_equal_bytes(fold):
    for out in ("one", "two"):
        fold.score(out=out)
    for kind in ("slides", "genes", "maps"):
        one, two = (fold.folder / out / f"{kind}.parquet" for out in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spots": [f"A1-{n}" for n in range(SPOTS - 2)] + ["A1-19", "A1-18"]}, "another order"),
        ({"genes": list(GENES[:10])}, "gene_id.*another order"),
        ({"space": "counts"}, "space: expected log1p; found counts"),
        ({"panel_sha256": "f" * 64}, "panel_sha256"),
        ({"experiment": "other"}, "experiment: expected e; found other"),
        ({"fold": 2}, "fold: expected 1; found 2"),
        ({"seed": 2}, "seed: expected 4; found 2"),
        ({"slide": "Z9"}, "slide: expected one of A1, A2; found Z9"),
    ],
)
def test_predictions_of_something_else_are_refused(fold, change, message):
    fold.write_prediction("A1", fold.predicted["A1"], **change)
    with pytest.raises(DataContractError, match=message):
        fold.score()
    assert not (fold.folder / "out").exists()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_named(fold, bad):
    values = fold.predicted["A2"].copy()
    values[3, 1] = bad
    fold.write_prediction("A2", values)
    with pytest.raises(DataContractError, match=r"finite numbers; found (nan|inf) at spot A2-3, gene G08"):
        fold.score()


def test_a_slide_given_twice_is_refused(fold):
    with pytest.raises(DataContractError, match="each slide once"):
        fold.score(expression=[fold.folder / "A1.h5ad"] * 2)
