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


def test_the_way_tissue_is_found_is_an_option(tmp_path):
    # pale fat on glass: membranes every 50 px give it structure, but hardly any colour
    pixels = np.full((560, 560, 3), 245, np.uint8)
    fat = pixels[112:448, 112:448]
    for first in range(4):
        fat[first::50] = fat[:, first::50] = (170, 160, 168)
    Image.fromarray(pixels).save(tmp_path / "W1.png")
    with pytest.raises(DataContractError, match="found no grid cell"):
        read(tmp_path, options={"mask": "saturation"})
    assert len(read(tmp_path, options={"mask": "entropy"}).spots) == 9  # 3 × 3 cells of 112 px


def test_a_misspelt_mask_is_named(root):
    with pytest.raises(DataContractError, match="did you mean 'entropy'"):
        read(root, options={"mask": "entropi"})


def test_a_slide_that_is_all_tissue_keeps_every_cell(tmp_path):
    # two stains, no glass: Otsu's threshold alone would keep the darker half only
    pixels = np.full((336, 448, 3), (225, 150, 195), np.uint8)
    pixels[:, :224] = (130, 80, 150)
    Image.fromarray(pixels).save(tmp_path / "W1.png")
    assert len(read(tmp_path).spots) == 3 * 4


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


def test_tiles_of_256_px_at_20x_stand_128_um_apart(tmp_path):
    """1,100 × 600 px at 0.5 µm per pixel, all tissue but for a pale frame: 4 × 2 tiles of 256 px."""
    pixels = np.full((600, 1100, 3), 245, np.uint8)
    pixels[4:596, 4:1096] = (210, 120, 170)
    Image.fromarray(pixels).save(tmp_path / "W1.png")
    raw = read(tmp_path, ROW | {"mpp": "0.5"}, {"pitch_um": 128.0})
    assert raw.spots["x_px"].tolist() == [128, 384, 640, 896] * 2
    assert raw.spots["y_px"].tolist() == [128] * 4 + [384] * 4
    assert raw.spots["x_px"].max() + 128 <= 1100  # no tile leaves the slide
    assert raw.spots["y_px"].max() + 128 <= 600


def test_a_slide_smaller_than_a_tile_in_one_direction_is_refused(tmp_path):
    Image.new("RGB", (255, 2000), (200, 100, 150)).save(tmp_path / "W1.png")
    with pytest.raises(DataContractError) as error:
        read(tmp_path, ROW | {"mpp": "0.5"}, {"pitch_um": 128.0})
    assert error.value.field == "size"
    assert error.value.expected == "at least 256 px (128 µm) in both directions"
    assert error.value.found == "255 × 2000 px"
    assert "smaller option pitch_um" in error.value.remedy


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0)])
def test_a_white_or_black_slide_has_no_tissue(tmp_path, colour):
    Image.new("RGB", (600, 600), colour).save(tmp_path / "W1.png")
    with pytest.raises(DataContractError, match=r"tissue: .*found no grid cell half full of it"):
        read(tmp_path)


@pytest.mark.parametrize("pitch_um", [0.0, -112.0, float("nan"), float("inf")])
def test_a_pitch_that_is_none_is_refused(root, pitch_um):
    with pytest.raises(
        DataContractError, match=r"options\.pitch_um: expected µm above 0; found .*128 for tiles of 256 px"
    ):
        read(root, options={"pitch_um": pitch_um})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pitch": 128.0}, r"options of wsi: .*found 'pitch'.*did you mean 'pitch_um'"),
        ({"pitch_um": "128"}, r"options\.pitch_um: expected a value like 112\.0; found '128'"),
        ({"pitch_um": True}, r"options\.pitch_um: expected a value like 112\.0; found True"),
    ],
)
def test_unknown_options_are_refused(root, options, message):
    with pytest.raises(DataContractError, match=message):
        read(root, options=options)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "an empty file"), (b"text", "starts with b'text'"), (b"\x89PNG\r\n\x1a\n", "W1\\.png")],
)
def test_an_image_that_is_none_is_refused(tmp_path, content, message):
    (tmp_path / "W1.png").write_bytes(content)
    with pytest.raises(DataContractError, match=message):
        read(tmp_path)


def test_an_image_that_went_away_is_named(root):
    files = wsi.files(ROW, root)
    (root / "W1.png").unlink()
    with pytest.raises(DataContractError, match=r"W1\.png: image of slide W1: expected a file; found no such file"):
        wsi.read(ROW, files, {})


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
