import numpy as np
import pytest
from PIL import Image

from stainscript.datasets import wsi
from stainscript.errors import DataContractError

ROW = {"slide": "W1", "patient": "P", "layout": "wsi", "mpp": "1.0"}


@pytest.fixture
def root(tmp_path):
    """1,000 × 700 px at 1 µm per pixel, pink tissue at x 224..560, y 112..336: three columns by two rows of cells."""
    pixels = np.full((700, 1000, 3), 245, np.uint8)
    pixels[112:336, 224:560] = (210, 120, 170)
    Image.fromarray(pixels).save(tmp_path / "W1.png")
    return tmp_path


def read(root, row=ROW, options=None):
    return wsi.read(row, wsi.files(row, root), options or {})


def test_spots_sit_in_the_middle_of_the_cells_that_hold_tissue(root):
    raw = read(root)
    assert list(raw.spots["spot_id"]) == ["2x1", "3x1", "4x1", "2x2", "3x2", "4x2"]
    assert raw.spots["x_px"].tolist() == [280, 392, 504] * 2
    assert raw.spots["y_px"].tolist() == [168] * 3 + [280] * 3
    assert raw.spots[["grid_row", "grid_col"]].to_numpy()[0].tolist() == [1, 2]
    assert raw.adata is None
    assert raw.grid_mpp is None


def test_the_pitch_is_in_micrometres(root):
    half = read(root, options={"pitch_um": 56.0}).spots
    assert len(half) == 24
    assert len(read(root, ROW | {"mpp": "2.0"}, {"pitch_um": 112.0}).spots) == 24  # 56 px as well


def test_a_cell_that_is_less_than_half_tissue_has_no_spot(tmp_path):
    pixels = np.full((224, 336, 3), 245, np.uint8)
    pixels[0:112, 0:112] = pixels[0:70, 112:224] = pixels[0:40, 224:336] = (210, 120, 170)
    Image.fromarray(pixels).save(tmp_path / "W1.png")
    assert list(read(tmp_path).spots["spot_id"]) == ["0x0", "1x0"]


def test_the_mask_separates_stain_from_pale_ground():
    image = np.full((20, 30, 3), 240, np.uint8)
    image[5:10, 8:20] = (200, 120, 180)
    mask = wsi.tissue_mask(image)
    assert mask.sum() == 5 * 12
    assert mask[5:10, 8:20].all()


def test_a_blank_slide_is_refused(tmp_path):
    Image.new("RGB", (600, 600), (245, 245, 245)).save(tmp_path / "W1.png")
    with pytest.raises(DataContractError, match=r"W1\.png: tissue: expected stained tissue on a pale ground"):
        read(tmp_path)


def test_a_slide_smaller_than_a_cell_is_refused(tmp_path):
    Image.new("RGB", (60, 600), (200, 100, 150)).save(tmp_path / "W1.png")
    with pytest.raises(DataContractError, match=r"size: expected at least 112 px \(112 µm\).*60 × 600 px.*pitch_um"):
        read(tmp_path)


def test_an_image_without_a_scale_is_refused_naming_the_column(root):
    with pytest.raises(DataContractError, match=r"mpp: .* Remedy: fill the sheet's column mpp for slide W1"):
        read(root, ROW | {"mpp": ""})


def test_the_image_is_found_by_name_folder_or_column(root):
    assert wsi.files(ROW, root) == {"image": root / "W1.png"}
    assert "several, at W2/ or W2.*" in wsi.missing(ROW | {"slide": "W2"}, root)
    assert wsi.files(ROW | {"slide": "W2", "image": "W1.png"}, root) == {"image": root / "W1.png"}
    assert wsi.missing(ROW | {"image": "gone.svs"}, root) == "no image at gone.svs"
    (root / "W1").mkdir()
    (root / "W1.png").rename(root / "W1" / "scan.png")
    assert wsi.missing(ROW, root) is None
    assert wsi.files(ROW, root) == {"image": root / "W1" / "scan.png"}


def test_a_real_slide_is_gridded_where_its_tissue_is(shared_data):
    row = {"slide": "CMU-1-Small-Region", "patient": "P", "layout": "wsi", "mpp": ""}
    raw = wsi.read(row, wsi.files(row, shared_data / "slides"), {})
    # 9 × 13 cells of 224 px; the strip of tissue runs down the middle, its left and right borders are glass
    assert 30 <= len(raw.spots) <= 60
    assert raw.spots["grid_col"].between(1, 7).all()
    assert {"4x6", "5x8", "4x12"} <= set(raw.spots["spot_id"])
