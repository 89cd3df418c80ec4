import subprocess
import sys
from types import SimpleNamespace

import pytest

from stainscript.datasets import base
from stainscript.errors import DataContractError

HEADER = "slide\tpatient\tlayout\tmpp\n"


@pytest.fixture
def sheet(tmp_path):
    def write(text: str):
        path = tmp_path / "sheet.tsv"
        path.write_text(text)
        return path

    return write


def test_layouts_are_the_modules_that_define_files():
    assert {"her2st", "legacy_st", "visium", "wsi"} <= set(base.layouts())
    assert not {"base", "counts", "legacy_tables", "spaceranger", "phantom"} & set(base.layouts())


def test_every_layout_offers_the_whole_contract():
    for name in base.layouts():
        module = base.load(name)
        for part in ("files", "missing", "expected_files", "read"):
            assert callable(getattr(module, part)), (name, part)
        for part in ("OPTIONS", "PLATFORM", "PITCH_UM", "SPOT_DIAMETER_UM", "HAS_EXPRESSION"):
            assert hasattr(module, part), (name, part)


def test_parsing_the_dag_imports_no_heavy_package():
    code = (
        "import sys; from stainscript.datasets import base\n"
        "for name in base.layouts():\n"
        "    row = dict(slide='A1', patient='A', layout=name)\n"
        "    m = base.load(name); m.files(row, '/nowhere'); m.missing(row, '/nowhere'); m.expected_files(row, 'r')\n"
        "heavy = {'numpy', 'pandas', 'anndata', 'torch', 'tifffile', 'PIL', 'skimage'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_layout_names_the_others():
    with pytest.raises(DataContractError, match=r"one of .*her2st, hest.*did you mean 'visium'"):
        base.load("visum")


def test_a_sheet_row_holds_every_known_column(sheet):
    rows = base.read_sheet(sheet(HEADER + "A1\tA\tlegacy_st\t0.5\n\nB1\tB\twsi\t\n"))
    assert [row["slide"] for row in rows] == ["A1", "B1"]
    assert rows[0]["mpp"] == "0.5"
    assert rows[1]["image"] == rows[1]["note"] == ""


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("slide\tpatient\tlayout\tplatfrom\n", ["columns", "'platfrom'", "hest_id", "did you mean 'platform'?"]),
        ("slide\tlayout\nA1\twsi\n", ["columns", "found no patient"]),
        ("slide\tpatient\tlayout\tslide\n", ["columns", "found slide twice"]),
        (HEADER, ["rows", "at least one slide", "found none"]),
        ("", ["columns", "found no slide"]),
        (HEADER + "A1\tA\twsi\t\nB1\tB\twsi\t\nA1\tC\twsi\t\n", ["slide:", "'A1' in lines 2 and 4", "remove one"]),
        (HEADER + "A1\t\twsi\t\n", ["patient, line 2", "an empty cell", "folds keep patients apart"]),
        (HEADER + "\tA\twsi\t\n", ["slide, line 2", "an empty cell"]),
        (HEADER + "a/b\tA\twsi\t\n", ["slide, line 2", "letters, digits, _ and -", "'a/b'"]),
        (HEADER + "A1\tA\twsy\t\n", ["layout, line 2", "'wsy'", "did you mean 'wsi'?"]),
        (HEADER + "A1\tA\twsi\t0,5\n", ["mpp, line 2", "µm per pixel", "'0,5'"]),
        (HEADER + "A1\tA\twsi\t0\n", ["mpp, line 2", "'0'"]),
        (HEADER + "A1\tA\twsi\tnan\n", ["mpp, line 2", "'nan'"]),
        (HEADER + "A1\tA\twsi\n", ["line 2", "expected 4 cells", "found 3 cells"]),
        (
            "slide\tpatient\tlayout\thas_expression\nA1\tA\twsi\tno\n",
            ["has_expression, line 2", "true, false or empty"],
        ),
    ],
)
def test_a_faulty_sheet_is_refused_with_its_place(sheet, text, parts):
    path = sheet(text)
    with pytest.raises(DataContractError) as error:
        base.read_sheet(path)
    for part in [str(path), *parts, "Remedy:"]:
        assert part in str(error.value)


def test_a_missing_sheet_is_named(tmp_path):
    with pytest.raises(DataContractError, match=r"gone\.tsv: sheet: .* no such file"):
        base.read_sheet(tmp_path / "gone.tsv")


def test_options_are_checked_against_the_layout():
    layout = SimpleNamespace(__name__="stainscript.datasets.x", OPTIONS={"pitch_um": 112.0, "shift": False})
    assert base.checked_options(layout, {"pitch_um": 100}) == {"pitch_um": 100, "shift": False}
    with pytest.raises(DataContractError, match=r"options of x: expected one of pitch_um, shift; found 'pitch'"):
        base.checked_options(layout, {"pitch": 1.0})
    for wrong in ({"shift": "yes"}, {"pitch_um": "112"}, {"pitch_um": True}, {"shift": 1}):
        with pytest.raises(DataContractError, match="expected a value like"):
            base.checked_options(layout, wrong)


def test_a_role_without_path_or_file_is_refused(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"x")
    assert base.require({"image": str(tmp_path / "a.tif")}, ["image"], slide="S") == {"image": tmp_path / "a.tif"}
    with pytest.raises(DataContractError, match="counts of slide S: expected a file; found no path"):
        base.require({}, ["counts"], slide="S")
    with pytest.raises(DataContractError, match=r"gone\.tif: image of slide S: expected a file; found no such file"):
        base.require({"image": tmp_path / "gone.tif"}, ["image"], slide="S")


def test_without_a_root_every_slide_is_missing():
    for name in base.layouts():
        module, row = base.load(name), {"slide": "A1", "patient": "A", "layout": name}
        assert module.files(row, None) == {}
        assert module.missing(row, None) == "the dataset's root is not set"


def test_expected_files_need_nothing_on_disk():
    row = {"slide": "P1", "patient": "P", "layout": "visium"}
    paths = base.load("visium").expected_files(row, "raw")
    assert {role: str(path) for role, path in paths.items()} == {
        "matrix": "raw/P1/outs/filtered_feature_bc_matrix.h5",
        "positions": "raw/P1/outs/spatial/tissue_positions.csv",
        "scalefactors": "raw/P1/outs/spatial/scalefactors_json.json",
        "image": "raw/P1/outs/P1.tif",
    }
    paths = base.load("legacy_st").expected_files(row | {"layout": "legacy_st"}, "raw")
    assert {role: str(path) for role, path in paths.items()} == {
        "counts": "raw/P1/data/ST-cnts/P1.tsv.gz",
        "selection": "raw/P1/data/ST-spotfiles/P1_selection.tsv",
        "image": "raw/P1/data/ST-imgs/P/P1/P1.jpg",
    }
    paths = base.load("wsi").expected_files(row | {"layout": "wsi"}, "raw")
    assert {role: str(path) for role, path in paths.items()} == {"image": "raw/P1/P1.tif"}
    named = base.load("wsi").expected_files(row | {"layout": "wsi", "image": "x.svs"}, "raw")
    assert str(named["image"]) == "raw/P1/x.svs"
