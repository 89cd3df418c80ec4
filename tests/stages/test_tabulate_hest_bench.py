"""A tiny task of HEST-Bench from stored features and counts to its table, against scikit-learn on the same arrays."""

import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stainscript.artifacts.stores import open_store
from stainscript.errors import DataContractError
from stainscript.methods.base import load_state
from stainscript.stages.fit import fit
from stainscript.stages.predict import predict
from stainscript.stages.score import score
from stainscript.stages.tabulate_hest_bench import tabulate_hest_bench

FOLDS = [(("c", "d"), ("a", "b")), (("a", "b", "d"), ("c",)), (("a", "b", "c"), ("d",))]
TARGET = {"space": "log1p", "library": "all", "smooth": "none"}
SUBSETS = {"size": 4, "best": [4], "scope": "train"}
VARIANTS = {"hest_pca256": {"components": 3}, "hest_full": {"dimreduce": "none"}}


def fitted(cohort, folder, method, fold):
    """The checkpoint of one fold."""
    train, _ = FOLDS[fold]
    spec = cohort.spec("hest_probe", **VARIANTS[method])
    spec |= {"experiment": f"COAD.hest.{method}.toy", "fold": fold, "train": list(train), "target": TARGET}
    spec |= {"val_spot_fraction": 0.0}
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"checkpoint": "c.safetensors", "history": "h.csv", "run_record": "r.json"}
    fit(spec=spec, inputs=cohort.inputs(), **{key: folder / name for key, name in paths.items()})
    return folder / "c.safetensors"


def scored(cohort, folder, method, fold):
    """Metrics per gene of one fold: fitted, predicted and scored by the stages."""
    checkpoint, predictions, expression = fitted(cohort, folder, method, fold), [], []
    for slide in FOLDS[fold][1]:
        files = cohort.files(slide)
        out = folder / f"{slide}.zarr"
        predict(
            checkpoint=checkpoint,
            **{key: files[key] for key in ("info", "spots", "features")},
            answers=None,
            experiment=f"COAD.hest.{method}.toy",
            fold=fold,
            seed=0,
            out=out,
        )
        predictions.append(out)
        counts = cohort.counts(slide)
        counts.uns |= {"dataset": "COAD", "slide": slide, "patient": f"patient-{slide}"}
        counts.write_h5ad(folder / f"{slide}.h5ad")
        expression.append(folder / f"{slide}.h5ad")
    score(
        predictions=predictions,
        expression=expression,
        panel=cohort.panel,
        target=TARGET,
        subsets=SUBSETS,
        experiment=f"COAD.hest.{method}.toy",
        dataset="COAD",
        fold=fold,
        seed=0,
        map_genes=[],
        **{f"{kind}_out": folder / f"{kind}.parquet" for kind in ("slides", "genes", "maps")},
    )
    return folder / "genes.parquet"


def arrays(cohort, slides):
    """Features and log1p counts of the panel, spots of all ``slides`` one after the other."""
    features, targets = [], []
    for slide in slides:
        stores = cohort.files(slide)["features"]["patch"]
        features.append(np.concatenate([open_store(store, "features")["features"] for store in stores], axis=1))
        targets.append(np.log1p(cohort.counts(slide)[:, cohort.genes[2:10]].X.toarray()))
    return np.concatenate(features).astype(np.float32), np.concatenate(targets)


def directly(cohort, method):
    """Fold scores by scikit-learn, and NumPy's correlation over the pooled test spots."""
    found = []
    for train, test in FOLDS:
        (x, y), (x_test, y_test) = arrays(cohort, train), arrays(cohort, test)
        if method == "hest_pca256":
            reduction = make_pipeline(StandardScaler(), PCA(3, random_state=1)).fit(x)
            x, x_test = (reduction.transform(part).astype(np.float32) for part in (x, x_test))
        ridge = Ridge(solver="lsqr", alpha=100 / (x.shape[1] * 8), fit_intercept=False, max_iter=1000).fit(x, y)
        predicted = ridge.predict(x_test)
        found.append(np.mean([np.corrcoef(y_test[:, n], predicted[:, n])[0, 1] for n in range(8)]))
    return found


@pytest.fixture
def table(cohort, tmp_path):
    """Both variants through all stages; where the tables are."""
    genes = [
        scored(cohort, tmp_path / method / str(fold), method, fold) for method in VARIANTS for fold in range(len(FOLDS))
    ]
    records = [
        {"name": f"COAD.hest.{m}.toy", "dataset": "COAD", "method": m, "encoder": "resnet50_stage3", "protocol": "hest"}
        for m in VARIANTS
    ]
    paths = {"tsv": tmp_path / "t.tsv", "md": tmp_path / "t.md", "tasks_tsv": tmp_path / "tasks.tsv"}
    tabulate_hest_bench(genes=genes, experiments=records, **paths)
    return paths


def test_both_variants_of_a_task_equal_a_direct_computation(cohort, table):
    tasks = pd.read_csv(table["tasks_tsv"], sep="\t").set_index("method")
    for method in VARIANTS:
        folds = directly(cohort, method)
        assert np.ptp(folds) > 0.01
        assert tasks.loc[method, "pearson"] == pytest.approx(np.mean(folds), abs=1e-4)
        assert tasks.loc[method, "sd"] == pytest.approx(np.std(folds), abs=1e-4)
        assert tasks.loc[method, "n_folds"] == 3
    assert abs(tasks.loc["hest_pca256", "pearson"] - tasks.loc["hest_full", "pearson"]) > 0.01


def test_the_published_row_stands_beside_the_pca_variant_alone(table):
    frame = pd.read_csv(table["tsv"], sep="\t")
    assert frame["source"].tolist() == ["ours", "published 2024-08-30", "ours"]
    assert frame["COAD"].tolist()[1] == 0.2528
    assert np.isnan(frame["average"].tolist()[0])  # one task of nine
    assert "ResNet50" in table["md"].read_text()


def test_other_test_features_leave_the_fitted_numbers_as_they_were(cohort, tmp_path):
    """Slides c and d train fold 0; a and b are tested. Their features are replaced, and the fit is repeated."""
    before = load_state(fitted(cohort, tmp_path / "before", "hest_pca256", 0))[-1].tensors
    for slide in ("a", "b", "c"):
        for encoder, width in cohort.encoders.items():
            store = open_store(cohort.folder / f"{slide}.{encoder}", "features")
            spot_id = store.ids("spot_id")
            shutil.rmtree(cohort.folder / f"{slide}.{encoder}")
            cohort.write_features(slide, encoder, np.full((24, width), 9.0, dtype=np.float32), spot_id)
        after = load_state(fitted(cohort, tmp_path / slide, "hest_pca256", 0))[-1].tensors
        same = all(after[name].tobytes() == before[name].tobytes() for name in before)
        assert same == (slide != "c")  # c is trained on: there the numbers must change


def test_an_experiment_without_metrics_is_named(tmp_path):
    pd.DataFrame({"experiment": ["other"]}).to_parquet(tmp_path / "genes.parquet")
    with pytest.raises(DataContractError, match=r"expected metrics of e; found none"):
        tabulate_hest_bench(
            genes=[tmp_path / "genes.parquet"],
            experiments=[{"name": "e"}],
            **{key: tmp_path / key for key in ("tsv", "md", "tasks_tsv")},
        )
