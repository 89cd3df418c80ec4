import json
import logging

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stainscript.datasets import base, hest_bench
from stainscript.datasets.hest_files import write_patches
from stainscript.datasets.hest_tasks import TaskFold, read_genes, read_split
from stainscript.errors import DataContractError

ROW = {"slide": "TENX99", "patient": "IDC-1", "layout": "hest_bench", "platform": "Xenium", "condition": "IDC"}
SPOTS = ["000x001", "000x000", "001x000", "001x001"]
CENTRES = np.array([[200, 100], [100, 100], [100, 200], [200, 200]], float)


def numbered(name, numbers):
    return [f"{name}{n}" for n in numbers]


PUBLISHED = {  # test slides of each fold; None: only their number is published
    "IDC": [["TENX99"], ["TENX95"], ["NCBI785"], ["NCBI783"]],
    "PRAD": [8, 15],
    "PAAD": [["TENX116"], ["TENX140"], ["TENX126"]],
    "SKCM": [["TENX117"], ["TENX115"]],
    "COAD": [numbered("TENX", (147, 148, 149)), ["TENX111"]],
    "READ": [["ZEN48", "ZEN49"], ["ZEN36", "ZEN40"]],
    "CCRCC": [4] * 6,
    "HCC": [["NCBI643"], ["NCBI642"]],
    "LUNG": [["TENX141"], ["TENX118"]],
    "LYMPH_IDC": [["NCBI684"], ["NCBI683"], ["NCBI682"], ["NCBI681"]],
}


@pytest.fixture
def write_bench(tmp_path):
    def write(*, barcodes=("001x001", "001x000", "000x000"), images=True, attributes=None, counts=None):
        (tmp_path / "IDC" / "adata").mkdir(parents=True, exist_ok=True)
        values = np.arange(8).reshape(4, 2) if counts is None else counts
        obs = pd.DataFrame({"array_row": [0, 0, 1, 1], "array_col": [1, 0, 0, 1]}, index=SPOTS)
        adata = anndata.AnnData(
            sparse.csr_matrix(values.astype(np.float32)), obs=obs, var=pd.DataFrame(index=["A", "B"])
        )
        adata.obsm["spatial"] = CENTRES
        adata.write_h5ad(tmp_path / "IDC" / "adata" / "TENX99.h5ad")
        write_patches(
            tmp_path / "IDC" / "patches" / "TENX99.h5",
            barcodes=barcodes,
            coords=np.zeros((len(barcodes), 2)),
            images=np.zeros((len(barcodes), 4, 4, 3), np.uint8) if images else None,
            attributes=attributes,
        )
        return tmp_path

    return write


@pytest.fixture
def write_task(tmp_path):
    def write(folds, *, task="IDC", slides=None):
        folder = tmp_path / task
        slides = slides or sorted({slide for fold in folds for part in fold for slide in part})
        for name, end in (("patches", "h5"), ("adata", "h5ad"), ("splits", "")):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for slide in slides if end else ():
                (folder / name / f"{slide}.{end}").touch()
        for number, (train, test) in enumerate(folds):
            for part, names in (("train", train), ("test", test)):
                lines = [f"{name},patches/{name}.h5,adata/{name}.h5ad" for name in names]
                text = "\n".join(["sample_id,patches_path,expr_path", *lines])
                (folder / "splits" / f"{part}_{number}.csv").write_text(text + "\n")
        return folder

    return write


def read(root, **row):
    return hest_bench.read(ROW | row, hest_bench.files(ROW, root), {})


def test_spots_are_those_with_a_patch_joined_by_barcode(write_bench, caplog):
    with caplog.at_level(logging.INFO):
        raw = read(write_bench())
    assert list(raw.spots["spot_id"]) == ["000x000", "001x000", "001x001"] == list(raw.adata.obs_names)
    assert raw.spots[["x_px", "y_px"]].to_numpy().tolist() == [[100, 100], [100, 200], [200, 200]]
    assert raw.adata.X.toarray().tolist() == [[2, 3], [4, 5], [6, 7]]
    assert "1 of 4 spots have no patch and are left out" in caplog.text
    assert (raw.platform, raw.spot_diameter_um, raw.stated_mpp, raw.stated_in) == ("Xenium", 100.0, None, None)
    assert raw.grid_mpp == pytest.approx(1.0)  # bins of 100 µm, 100 px apart


def test_the_pixel_size_comes_from_the_patch_file_where_it_has_one(write_bench):
    root = write_bench(attributes={"pixel_size": 0.2125, "patch_size_src": 527})
    raw = read(root)
    assert (raw.stated_mpp, raw.stated_in) == (0.2125, root / "IDC" / "patches" / "TENX99.h5")
    with pytest.raises(DataContractError, match=r"TENX99\.h5: pixel_size_um_estimated: .*found -1"):
        read(write_bench(attributes={"pixel_size": -1.0}))


def test_files_lie_in_the_folder_of_the_task(write_bench, tmp_path):
    root = write_bench()
    assert hest_bench.files(ROW, root) == {
        "counts": root / "IDC" / "adata" / "TENX99.h5ad",
        "patches": root / "IDC" / "patches" / "TENX99.h5",
    }
    assert hest_bench.missing(ROW, root) is None
    assert hest_bench.missing(ROW, None) == base.NO_ROOT
    assert hest_bench.missing(ROW | {"condition": "SKCM"}, root) == "no counts at SKCM/adata/TENX99.h5ad"
    assert hest_bench.missing(ROW | {"condition": "LUAD"}, root).startswith("no task 'LUAD': name one of IDC, PRAD")
    (root / "IDC/patches/TENX99.h5").unlink()
    assert hest_bench.missing(ROW, root) == "no patches at IDC/patches/TENX99.h5"
    with pytest.raises(DataContractError, match="patches of slide TENX99"):
        read(root)


def test_patches_that_do_not_meet_the_counts_or_hold_no_image_are_refused(write_bench):
    with pytest.raises(DataContractError, match=r"TENX99\.h5: barcode: .*1 of 2 that match none \(first: 009x009\)"):
        read(write_bench(barcodes=("000x000", "009x009")))
    with pytest.raises(DataContractError, match=r"TENX99\.h5: img: expected images.*found coordinates only"):
        read(write_bench(images=False))
    with pytest.raises(DataContractError, match=r"TENX99\.h5ad: counts of spot 000x001, gene A: .*a negative number"):
        read(write_bench(counts=np.arange(8).reshape(4, 2) - 1))


def test_the_sheet_lists_the_slides_of_all_ten_tasks_each_once(repository):
    rows = base.read_sheet(repository / "workflow" / "sheets" / "hest_bench.tsv")
    slides = {task: [row["slide"] for row in rows if row["condition"] == task] for task in hest_bench.TASKS}
    assert sum(map(len, slides.values())) == len(rows) == 72
    assert set(slides) == set(PUBLISHED)
    assert slides["PRAD"] == [f"MEND{n}" for n in range(139, 163) if n != 155]
    assert slides["CCRCC"] == numbered("INT", range(1, 25))
    for task, folds in PUBLISHED.items():
        if isinstance(folds[0], list):
            assert sorted(slides[task]) == sorted(slide for fold in folds for slide in fold)
    platforms = {task: {row["platform"] for row in rows if row["condition"] == task} for task in slides}
    assert {task for task, names in platforms.items() if names == {"Xenium"}} == {"IDC", "PAAD", "SKCM", "COAD", "LUNG"}
    assert all(row["hest_id"] == row["slide"] for row in rows)


def test_the_sheets_patients_are_the_groups_of_the_published_folds(repository):
    rows = base.read_sheet(repository / "workflow" / "sheets" / "hest_bench.tsv")
    patients = {row["slide"]: row["patient"] for row in rows}
    for task, folds in PUBLISHED.items():
        if task == "CCRCC":  # 24 patients in six buckets
            assert len({patients[row["slide"]] for row in rows if row["condition"] == task}) == 24
        elif task == "PRAD":
            of_task = pd.Series([patients[row["slide"]] for row in rows if row["condition"] == task])
            assert sorted(of_task.value_counts()) == folds
        else:
            groups = [{patients[slide] for slide in fold} for fold in folds]
            assert all(len(group) == 1 for group in groups)
            assert len(set.union(*groups)) == len(groups)


@pytest.mark.parametrize("task", PUBLISHED)
def test_the_published_folds_parse_train_and_test_apart_and_all_slides_tested(repository, write_task, task):
    rows = base.read_sheet(repository / "workflow" / "sheets" / "hest_bench.tsv")
    slides = [row["slide"] for row in rows if row["condition"] == task]
    tests, rest = [], list(slides)
    for fold in PUBLISHED[task]:
        tests.append(fold if isinstance(fold, list) else rest[:fold])
        rest = rest[len(tests[-1]) :]
    folder = write_task([([s for s in slides if s not in test], test) for test in tests], task=task)
    folds = read_split(folder)
    assert [list(fold.test) for fold in folds] == tests
    assert all(set(fold.train) | set(fold.test) == set(slides) for fold in folds)


def test_ten_folds_come_in_the_order_of_their_numbers(write_task):
    names = numbered("S", range(11))
    folds = read_split(write_task([([n for n in names if n != name], [name]) for name in names]))
    assert [fold.test for fold in folds] == [(name,) for name in names]  # 10 after 9, not after 1
    assert folds[0] == TaskFold(train=tuple(names[1:]), test=("S0",))


def test_faults_of_a_split_name_the_file_and_the_slide(write_task, tmp_path):
    with pytest.raises(DataContractError, match=r"folds: expected test_0\.csv, test_1\.csv and so on; found none"):
        read_split(tmp_path)
    both = write_task([(["A", "B"], ["B"])], task="one")
    with pytest.raises(DataContractError, match=r"test_0\.csv: sample_id: expected no slide of train_0\.csv; found B"):
        read_split(both)
    untested = write_task([(["A", "C"], ["B"]), (["B", "C"], ["A"])], task="two")
    with pytest.raises(DataContractError, match="every slide in a test set; found C in none"):
        read_split(untested)
    gap = write_task([(["A"], ["B"]), (["B"], ["A"])], task="three")
    (gap / "splits" / "test_0.csv").rename(gap / "splits" / "test_5.csv")
    with pytest.raises(DataContractError, match=r"found folds \[1, 5\]"):
        read_split(gap)
    half = write_task([(["A"], ["B"]), (["B"], ["A"])], task="four")
    (half / "splits" / "train_1.csv").unlink()
    with pytest.raises(DataContractError, match=r"train_1\.csv: split: .*no such file"):
        read_split(half)
    (half / "splits" / "train_1.csv").write_text("sample_id,patches\nB,x\n")
    with pytest.raises(DataContractError, match=r"train_1\.csv: columns: .*no column patches_path"):
        read_split(half)
    (half / "splits" / "train_1.csv").write_text("")
    with pytest.raises(DataContractError, match=r"train_1\.csv: columns: .*no row"):
        read_split(half)
    twice = write_task([(["A", "A"], ["B"]), (["B"], ["A"])], task="five")
    with pytest.raises(DataContractError, match=r"train_0\.csv: sample_id: .*'A' more than once"):
        read_split(twice)
    gone = write_task([(["A"], ["B"]), (["B"], ["A"])], task="six")
    (gone / "adata" / "B.h5ad").unlink()
    with pytest.raises(DataContractError, match=r"test_0\.csv: expr_path: .*adata/B\.h5ad is not there"):
        read_split(gone)


def test_genes_keep_the_order_of_their_list(tmp_path):
    path = tmp_path / "var_50genes.json"
    path.write_text(json.dumps({"genes": ["B", "A", "C"]}))
    assert read_genes(path) == ["B", "A", "C"]
    for content in ({"genes": []}, {"genes": "A"}, {}, {"genes": ["A", 1]}):
        path.write_text(json.dumps(content))
        with pytest.raises(DataContractError, match=r"var_50genes\.json: genes: expected a list of gene names"):
            read_genes(path)
    path.write_text(json.dumps({"genes": ["A", "B", "A"]}))
    with pytest.raises(DataContractError, match="'A' more than once"):
        read_genes(path)
    with pytest.raises(DataContractError, match="no such file"):
        read_genes(tmp_path / "absent.json")
