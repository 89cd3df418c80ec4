"""The phantom as a whole: same bytes for the same seed, raw layouts that the ordinary readers ingest."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import anndata
import numpy as np
import openslide
import pandas as pd
import pytest
import tifffile

from stainscript.datasets import base, phantom
from stainscript.datasets.phantom import Options
from stainscript.errors import DataContractError

TINY = Options(spots="tiny")


def draw_into(folder: Path, slide: str, options: Options = TINY) -> Path:
    phantom.draw(slide=slide, options=options, out=folder / slide)
    return folder / slide


def digests(folder: Path) -> dict[str, str]:
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """A root folder with every slide, tiny."""
    root = tmp_path_factory.mktemp("phantom")
    for slide in phantom.SLIDES:
        (root / slide).mkdir()
        draw_into(root, slide)
    return root


@pytest.fixture(scope="module")
def rows(repository: Path) -> dict[str, dict[str, str]]:
    return {row["slide"]: row for row in base.read_sheet(repository / "workflow/sheets/phantom.tsv")}


@pytest.mark.parametrize("slide", ["P2V", "P1L", "W1"])
def test_the_same_options_give_the_same_bytes_and_another_seed_gives_other_ones(drawn, tmp_path, slide):
    (tmp_path / slide).mkdir()
    assert digests(draw_into(tmp_path, slide)) == digests(drawn / slide)
    (tmp_path / "other" / slide).mkdir(parents=True)
    other = digests(draw_into(tmp_path / "other", slide, Options(spots="tiny", seed=1)))
    assert other.keys() == digests(drawn / slide).keys()
    constant = {name for name, digest in other.items() if digest == digests(drawn / slide)[name]}
    assert constant <= {"outs/spatial/scalefactors_json.json"}


def test_the_sheet_lists_the_slides_that_are_drawn(rows):
    assert list(rows) == list(phantom.SLIDES)
    for slide, spec in phantom.SLIDES.items():
        assert (rows[slide]["patient"], rows[slide]["layout"]) == (spec.patient, spec.layout)
        assert base.has_expression(rows[slide]) == (spec.layout != "wsi")


def test_every_patient_with_counts_has_both_layouts_and_each_slide_250_to_600_spots():
    measured = [spec for spec in phantom.SLIDES.values() if spec.layout != "wsi"]
    by_patient = pd.DataFrame([(s.patient, s.layout) for s in measured]).groupby(0)[1].apply(sorted).to_dict()
    assert by_patient == {patient: ["legacy_st", "visium"] for patient in ("P1", "P2", "P3")}
    for spec in measured:
        n_spots = round(phantom.COVERED * spec.size[0] * spec.size[1]) - (spec.layout == "legacy_st")
        assert 250 <= n_spots <= 600


@pytest.mark.parametrize("slide", ["P1V", "P2V", "P3V", "P1L", "P2L", "P3L"])
def test_the_ordinary_readers_give_the_ids_of_the_truth_in_its_order(drawn, rows, slide):
    layout = base.load(rows[slide]["layout"])
    assert layout.missing(rows[slide], drawn) is None
    raw = layout.read(rows[slide], layout.files(rows[slide], drawn), {})
    truth = anndata.read_h5ad(drawn / slide / "truth/expected.h5ad")
    assert truth.X.dtype == np.float32
    assert (truth.X > 0).all()
    assert list(truth.obs_names) == list(raw.spots["spot_id"]) == list(raw.adata.obs_names)
    assert list(truth.var_names) == list(raw.adata.var_names)
    assert raw.grid_mpp == pytest.approx(phantom.TINY_MPP[rows[slide]["layout"]], rel=0.005)
    total = raw.adata.X.sum() / truth.X.sum()
    assert total == pytest.approx(1, abs=0.05)


def test_both_positions_files_of_space_ranger_are_written(drawn):
    new = pd.read_csv(drawn / "P1V/outs/spatial/tissue_positions.csv")
    old = pd.read_csv(drawn / "P2V/outs/spatial/tissue_positions_list.csv", header=None)
    assert list(new.columns)[:2] == ["barcode", "in_tissue"]
    assert (new["array_row"] % 2 == new["array_col"] % 2).all()
    assert (new["in_tissue"] == 0).sum() > 0
    assert set(old[0]) == set(new["barcode"])  # barcodes repeat between slides, as those of a real capture area do


def test_legacy_tables_have_an_orphan_selection_and_an_empty_spot_and_differ_in_order(drawn):
    with gzip.open(drawn / "P1L/data/ST-cnts/P1L.tsv.gz", "rt") as handle:
        counts = pd.read_csv(handle, sep="\t", index_col=0)
    selection = pd.read_csv(drawn / "P1L/data/ST-spotfiles/P1L_selection.tsv", sep="\t")
    labels = [f"{x}x{y}" for x, y in zip(selection["x"], selection["y"], strict=True)]
    assert len(set(labels) - set(counts.index)) == 1
    assert set(counts.index) < set(labels)
    assert [label for label in labels if label in counts.index] != list(counts.index)
    assert (counts.sum(axis=1) == 0).sum() == 1


def test_the_pyramid_reads_alike_through_openslide_and_tifffile(drawn):
    path = drawn / "W1/W1.tif"
    with tifffile.TiffFile(path) as file:
        assert [page.is_tiled for page in file.pages] == [True] * 3
        whole = file.pages[0].asarray()
    with openslide.OpenSlide(path) as slide:
        assert slide.level_count == 3
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.8)
        region = np.asarray(slide.read_region((301, 403), 0, (97, 83)).convert("RGB"))
    assert np.array_equal(region, whole[403:486, 301:398])


def test_a_smaller_gene_table_leaves_the_picture_alone(drawn, tmp_path):
    (tmp_path / "P3L").mkdir()
    fewer = draw_into(tmp_path, "P3L", Options(spots="tiny", n_genes=40))
    picture = "data/ST-imgs/P/P3L/P3L.jpg"
    assert digests(fewer)[picture] == digests(drawn / "P3L")[picture]
    assert anndata.read_h5ad(fewer / "truth/expected.h5ad").n_vars == 40


def test_an_unknown_slide_names_the_known_ones(tmp_path):
    with pytest.raises(DataContractError, match=r"P1V.*'P1X'.*did you mean"):
        draw_into(tmp_path, "P1X")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sead": 1}, "did you mean 'seed'"),
        ({"seed": -1}, "an integer from 0; found -1"),
        ({"spots": "small"}, "full or tiny; found 'small'"),
        ({"n_genes": 5}, "20 to 7"),
        ({"n_genes": True}, "found True"),
    ],
)
def test_an_option_that_is_unknown_or_illegal_is_refused(options, message):
    with pytest.raises(DataContractError, match=message):
        Options.read(options)
