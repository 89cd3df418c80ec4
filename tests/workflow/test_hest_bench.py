"""A task of HEST-Bench in its published layout: from files to the benchmark's table, and scikit-learn's own numbers."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from stainscript import seeds
from stainscript.artifacts.stores import open_store
from stainscript.datasets.hest_files import write_patches

pytestmark = pytest.mark.workflow

FOLDS = [["ZEN48", "ZEN49"], ["ZEN36", "ZEN40"]]  # test slides of READ, as published; the run refuses others
SLIDES = [slide for fold in FOLDS for slide in fold]
GENES = [f"GENE{n:02d}" for n in range(12)]
SPOTS, WITH_PATCH, WIDTH, COMPONENTS = 45, 40, 32, 8
SET = {
    "title": "one task",
    "grids": [
        {
            "datasets": ["hest_READ"],
            "protocols": ["hest"],
            "methods": ["hest_pca8", "hest_full"],
            "encoders": ["morphology"],
        }
    ],
}


def write_slide(task: Path, slide: str) -> None:
    """45 spots 100 µm apart, 40 of them with a patch, in another order; counts follow the colours of the patch."""
    rng = seeds.generator(0, "hest-bench", slide)
    rows, columns = np.divmod(np.arange(SPOTS), 9)
    shade = rng.uniform(60, 200, (SPOTS, 3))
    images = shade[:, None, None] + rng.normal(0, 25, (SPOTS, WIDTH, WIDTH, 1))
    weights = seeds.generator(0, "hest-bench", "weights").normal(0, 0.7, (3, len(GENES) + 3))
    means = 4 * np.exp((shade - 130) / 60 @ weights)
    names = [*GENES[::-1], "EXTRA1", "EXTRA2", "EXTRA3"]  # not in the order of the list
    obs = pd.DataFrame({"array_row": rows, "array_col": columns}, index=[f"{slide}_{n:03d}" for n in range(SPOTS)])
    counts = sparse.csr_matrix(rng.poisson(means).astype(np.float32))
    adata = anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=names))
    adata.obsm["spatial"] = np.stack([columns, rows], axis=1) * 400.0 + 200  # 0.25 µm per pixel
    adata.write_h5ad(task / "adata" / f"{slide}.h5ad")
    order = rng.permutation(SPOTS)[:WITH_PATCH]
    write_patches(
        task / "patches" / f"{slide}.h5",
        barcodes=obs.index[order],
        coords=adata.obsm["spatial"][order] - 32,
        images=np.clip(images[order], 0, 255).astype(np.uint8),
        attributes={"patch_size_src": 64, "patch_size_target": WIDTH, "pixel_size": 0.25},
    )


@pytest.fixture(scope="module")
def space(fresh, tmp_path_factory):
    """The shipped config, sheet and protocol; patches of 32 px and a list of 12 genes instead of 224 and 50."""
    made = fresh(tmp_path_factory.mktemp("hest"))
    task = made.folder / "bench" / "READ"
    for name in ("adata", "patches", "splits"):
        (task / name).mkdir(parents=True)
    for slide in SLIDES:
        write_slide(task, slide)
    (task / "var_50genes.json").write_text(json.dumps({"genes": GENES}))
    for number, test in enumerate(FOLDS):
        for part, names in (("test", test), ("train", [slide for slide in SLIDES if slide not in test])):
            lines = [f"{name},patches/{name}.h5,adata/{name}.h5ad" for name in names]
            text = "\n".join(["sample_id,patches_path,expr_path", *lines])
            (task / "splits" / f"{part}_{number}.csv").write_text(text + "\n")
    own = made.folder / "workflow/experiments"
    own.mkdir(parents=True)
    (own / "small.yaml").write_text(yaml.safe_dump(SET))

    def change(config: dict) -> None:
        config["experiments"] = ["small"]
        config["datasets"]["hest_READ"]["root"] = "bench"
        config["views"]["hest_patch"]["width_px"] = WIDTH
        config["panels"]["hest_var50"]["n"] = len(GENES)
        config["methods"]["hest_pca8"] = {"method": "hest_probe", "options": {"components": COMPONENTS}}

    made.configure(change)
    return made


@pytest.fixture(scope="module")
def planned(space):
    return space.counts()


@pytest.fixture(scope="module")
def finished(space, planned):
    space.snakemake()
    return space


def test_a_task_needs_no_slide_so_none_is_checked_or_cut(planned) -> None:
    assert (planned["ingest_slide"], planned["encode_slide"]) == (4, 4)
    assert planned["check_slide"] == planned["extract_patches"] == 0
    assert (planned["fit"], planned["predict"], planned["score"]) == (2 * 2, 2 * 4, 2 * 2)  # variants × folds, slides
    assert (planned["select_panel"], planned["tabulate_hest_bench"]) == (2, 1)


def test_features_are_of_the_spots_that_have_a_patch(finished) -> None:
    for slide in SLIDES:
        store = open_store(finished.folder / f"results/features/hest_READ/hest_patch/morphology/{slide}", "features")
        spots = pd.read_parquet(finished.folder / f"results/slides/hest_READ/{slide}.spots.parquet")
        assert list(store.ids("spot_id")) == spots["spot_id"].tolist()
        assert len(spots) == WITH_PATCH
        info = json.loads((finished.folder / f"results/slides/hest_READ/{slide}.json").read_text())
        assert (info["mpp"], info["reader"]) == (0.25, "patches")


def loaded(space, slide: str) -> tuple[np.ndarray, np.ndarray]:
    """Stored features (S, D), and ln(1 + count) of the list's genes (S, 12) from the raw file, joined by spot."""
    store = open_store(space.folder / f"results/features/hest_READ/hest_patch/morphology/{slide}", "features")
    raw = anndata.read_h5ad(space.folder / f"bench/READ/adata/{slide}.h5ad")[list(store.ids("spot_id")), GENES]
    return store["features"], np.log1p(raw.X.toarray().astype(np.float64)).astype(np.float32)


def fold_score(space, test: list[str], *, reduce: bool) -> float:
    """HEST-Bench's score of one fold by scikit-learn: mean over genes of the correlation over both slides pooled."""
    train = [loaded(space, slide) for slide in SLIDES if slide not in test]
    features, target = (np.concatenate(part) for part in zip(*train, strict=True))
    tested, truth = (np.concatenate(part) for part in zip(*(loaded(space, slide) for slide in test), strict=True))
    if reduce:
        scaler = StandardScaler().fit(features)
        pca = PCA(COMPONENTS, random_state=1).fit(scaler.transform(features))
        features, tested = (pca.transform(scaler.transform(values)) for values in (features, tested))
    alpha = 100 / (features.shape[1] * len(GENES))
    ridge = Ridge(solver="lsqr", alpha=alpha, fit_intercept=False, max_iter=1000).fit(features, target)
    predicted = ridge.predict(tested)
    return float(np.mean([np.corrcoef(predicted[:, n], truth[:, n])[0, 1] for n in range(len(GENES))]))


@pytest.mark.parametrize(("method", "reduce"), [("hest_pca8", True), ("hest_full", False)])
def test_the_scores_are_those_of_a_direct_computation(finished, method: str, reduce: bool) -> None:
    tasks = pd.read_csv(finished.folder / "results/tables/small/hest_bench_tasks.tsv", sep="\t").set_index("method")
    folds = [fold_score(finished, test, reduce=reduce) for test in FOLDS]
    row = tasks.loc[method]
    assert row["pearson"] == pytest.approx(np.mean(folds), abs=1e-4)
    assert row["sd"] == pytest.approx(np.std(folds), abs=1e-4)
    assert (row["task"], row["n_folds"], row["n_folds_published"], row["n_undefined"]) == ("READ", 2, 2, 0)
    assert min(folds) > 0.3  # there is something to learn, so that the comparison means something


def test_the_two_variants_stand_apart_in_the_table(finished) -> None:
    tasks = pd.read_csv(finished.folder / "results/tables/small/hest_bench_tasks.tsv", sep="\t")
    assert tasks["method"].tolist() == ["hest_pca8", "hest_full"]
    assert tasks["pearson"].nunique() == 2
    assert tasks["note"].str.contains("HEST-Bench chose its own on all slides").all()
    text = (finished.folder / "results/tables/small/hest_bench.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| morphology | ours | hest_")]
    scores = [f"{row.pearson:.4f} ± {row.sd:.4f}" for row in tasks.itertuples()]
    assert [row.split(" | ")[3] for row in rows] == scores
    assert "| READ | average of 9 |" in text


def test_folds_that_are_not_the_published_ones_stop_the_plan(finished) -> None:
    folder = finished.folder / "bench/READ/splits"
    kept = {path: path.read_text() for path in folder.glob("*.csv")}
    try:
        for path, text in kept.items():
            path.write_text(text.replace("ZEN36", "swap").replace("ZEN48", "ZEN36").replace("swap", "ZEN48"))
        (message,) = finished.messages("--dry-run")
    finally:
        for path, text in kept.items():
            path.write_text(text)
    assert "test slides of READ: expected ZEN48 ZEN49; ZEN36 ZEN40; found ZEN36 ZEN49; ZEN48 ZEN40" in message
    assert finished.plan() == []
