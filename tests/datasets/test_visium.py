import json
import logging
import math

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stainscript.datasets import base, hires, positions, spaceranger, visium
from stainscript.errors import DataContractError
from stainscript.stages.ingest_slide import ingest_slide

ROW = {"slide": "V1", "patient": "P", "layout": "visium"}
HEADER = "barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres\n"


def read(root, options=None):
    return visium.read(ROW, visium.files(ROW, root), options or {})


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("matrix", ["h5", "h5v2", "mtx", "mtx.gz"])
@pytest.mark.parametrize("outs", [True, False])
def test_every_version_of_the_output_gives_the_same_slide(write_visium, version, matrix, outs):
    raw = read(write_visium(version=version, matrix=matrix, outs=outs))
    assert list(raw.spots["spot_id"]) == ["AAAC-1", "CCCG-1", "GGGT-1", "TTTA-1"] == list(raw.adata.obs_names)
    assert raw.spots[["grid_row", "grid_col"]].to_numpy().tolist() == [[0, 0], [0, 2], [1, 1], [1, 3]]
    assert raw.spots["x_px"].tolist() == [100, 300, 200, 400]
    assert raw.spots["y_px"].tolist() == pytest.approx([300, 300, 473.205, 473.205])
    assert raw.adata.X.toarray().tolist() == [[5, 0, 1], [0, 2, 0], [0, 0, 0], [7, 0, 3]]
    assert (raw.adata.X.dtype, raw.adata.X.format) == (np.int32, "csr")
    assert list(raw.adata.var_names) == ["ENSG00000141736", "ENSG00000211592", "ENSG00000026025"]
    assert list(raw.adata.var["symbol"]) == ["ERBB2", "IGKC", "VIM"]
    assert raw.grid_mpp == pytest.approx(0.5, rel=1e-5)
    assert (raw.platform, raw.spot_diameter_um) == ("Visium", 55.0)


def test_paths_settled_before_the_files_were_there_find_version_1_as_well(write_visium):
    root = write_visium(version=1)
    (root / "V1/outs/he.png").rename(root / "V1/outs/V1.tif")
    raw = visium.read(ROW, visium.expected_files(ROW, root), {})
    assert len(raw.spots) == 4


@pytest.mark.parametrize("name", ["filtered_feature_bc_matrix.h5", "spatial/tissue_positions.csv"])
def test_a_raw_file_that_went_away_is_named(write_visium, name):
    root = write_visium()
    files = visium.files(ROW, root)
    (root / "V1" / "outs" / name).unlink()
    with pytest.raises(DataContractError, match=f"{name}: .* of slide V1: expected a file; found no such file"):
        visium.read(ROW, files, {})


def turned(degrees, mirrored):
    rows, columns = np.divmod(np.arange(40), 5)
    columns = 2 * columns + rows % 2
    um = np.column_stack([columns * 50.0, rows * 50 * np.sqrt(3)])
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    pixels = um @ turn * (-1 if mirrored else 1, 1) / 0.36 + 7000
    return rows, columns, pixels


@pytest.mark.parametrize("degrees", [0, 90, 33])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_turned_or_mirrored_image_has_the_same_scale(degrees, mirrored):
    rows, columns, pixels = turned(degrees, mirrored)
    frame = pd.DataFrame(
        {
            "array_row": rows,
            "array_col": columns,
            "pxl_col_in_fullres": pixels[:, 0],
            "pxl_row_in_fullres": pixels[:, 1],
        }
    )
    assert positions.grid_mpp(frame, pitch_um=100.0) == pytest.approx(0.36)


def test_positions_on_one_line_have_a_scale_and_a_single_one_has_none(write_visium):
    line = HEADER + "AAAC-1,1,0,0,300,100\nCCCG-1,1,0,2,300,300\nGGGT-1,1,0,4,300,500\nTTTA-1,1,0,6,300,700\n"
    assert read(write_visium(positions=line)).grid_mpp == pytest.approx(100 / 200)  # not 55 µm over 110 px by chance
    slanted = HEADER + "AAAC-1,1,0,0,300,100\nCCCG-1,1,0,2,420,260\n"
    table = pd.DataFrame([line.split(",") for line in slanted.split()[1:]], columns=positions.COLUMNS)
    table = table.astype(dict.fromkeys(positions.COLUMNS[1:], float))
    assert positions.grid_mpp(table, pitch_um=100.0) == pytest.approx(100 / 200)  # √(120² + 160²)
    assert positions.grid_mpp(table[:1], pitch_um=100.0) is None


def test_other_feature_types_are_left_out(write_visium, caplog):
    kinds = ["Gene Expression", "Antibody Capture", "Gene Expression"]
    with caplog.at_level(logging.INFO):
        raw = read(write_visium(kinds=kinds))
    assert list(raw.adata.var["symbol"]) == ["ERBB2", "VIM"]
    assert "1 features of other types than genes left out (1 Antibody Capture)" in caplog.text


def test_a_raw_matrix_keeps_only_the_tissue(write_visium):
    barcodes = ["AAAC-1", "CCCG-1", "GGGT-1", "TTTA-1", "OFF1-1"]
    counts = [[5, 0, 1], [0, 2, 0], [0, 0, 0], [7, 0, 3], [1, 1, 1]]
    assert "OFF1-1" not in read(write_visium(barcodes=barcodes, counts=counts)).adata.obs_names


def test_one_symbol_for_two_ids_is_fine_and_one_id_twice_is_not(write_visium):
    genes = [("ENSG00000000001", "TBCE"), ("ENSG00000000002", "TBCE"), ("ENSG00000000003", "VIM")]
    assert list(read(write_visium(genes=genes)).adata.var["symbol"]) == ["TBCE", "TBCE", "VIM"]
    genes[1] = ("ENSG00000000001.2", "OTHER")
    with pytest.raises(DataContractError, match=r"gene names: .*'ENSG00000000001' more than once"):
        read(write_visium(genes=genes))


def test_a_symbol_twice_is_an_error_when_there_are_only_symbols(write_visium):
    root = write_visium(matrix="mtx")
    (root / "V1/outs/filtered_feature_bc_matrix/features.tsv").write_text("TBCE\nTBCE\nVIM\n")
    with pytest.raises(DataContractError, match=r"gene names: .*'TBCE' more than once"):
        read(root)


def test_an_absent_symbol_is_replaced_by_the_id(write_visium):
    genes = [("ENSG00000000001", ""), ("ENSG00000000002", "B"), ("ENSG00000000003", "C")]
    assert list(read(write_visium(genes=genes)).adata.var["symbol"]) == ["ENSG00000000001", "B", "C"]


@pytest.mark.parametrize("matrix", ["h5", "mtx"])
@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"counts": [[5, 0, 1], [0, -2, 0], [0, 0, 0], [7, 0, 3]]}, ["spot CCCG-1, gene ENSG00000211592", "negative"]),
        ({"counts": [[5, 0, 1.5], [0, 2, 0], [0, 0, 0], [7, 0, 3]]}, ["spot AAAC-1, gene ENSG00000026025", "fraction"]),
        ({"counts": [[5, 0, np.nan], [0, 2, 0], [0, 0, 0], [7, 0, 3]]}, ["spot AAAC-1, gene ENSG00000026025", "NaN"]),
        ({"counts": np.zeros((4, 3), int)}, ["counts:", "an empty matrix (4 spots × 3 genes, no count above zero)"]),
        ({"barcodes": ["AAAC-1", "AAAC-1", "GGGT-1", "TTTA-1"]}, ["barcodes", "'AAAC-1' more than once"]),
        ({"barcodes": ["AAAC-1", "GGGT-1", "TTTA-1"]}, ["counts", "3 spots × 3 genes", "4 × 3", "one export"]),
    ],
)
def test_faulty_matrices_are_refused(write_visium, matrix, change, parts):
    root = write_visium(matrix=matrix, **change)
    with pytest.raises(DataContractError) as error:
        read(root)
    for part in [str(root / "V1/outs/filtered_feature_bc_matrix"), *parts, "Remedy:"]:
        assert part in str(error.value)


def test_an_h5_without_spots_is_an_empty_matrix(write_visium):
    root = write_visium(counts=np.zeros((0, 3), int), barcodes=[])
    with pytest.raises(DataContractError, match=r"an empty matrix \(0 spots × 3 genes"):
        read(root)


@pytest.mark.parametrize("keep", [0, 200, 3000])
def test_a_truncated_h5_is_refused(write_visium, keep):
    root = write_visium()
    path = root / "V1/outs/filtered_feature_bc_matrix.h5"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataContractError, match=r"matrix\.h5: matrix: expected a complete 10x matrix"):
        read(root)


def test_a_truncated_mtx_is_refused(write_visium):
    root = write_visium(matrix="mtx.gz")
    path = root / "V1/outs/filtered_feature_bc_matrix/matrix.mtx.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataContractError, match=r"matrix\.mtx\.gz: matrix: expected a complete 10x matrix"):
        read(root)


def test_barcodes_that_match_no_count_are_refused_or_dropped_on_request(write_visium, caplog):
    barcodes, counts = ["AAAC-1", "CCCG-1", "GGGT-1"], [[5, 0, 1], [0, 2, 0], [1, 0, 0]]
    root = write_visium(barcodes=barcodes, counts=counts)
    with pytest.raises(DataContractError) as error:
        read(root)
    for part in ("tissue_positions.csv: barcodes", "1 of 4 in-tissue barcodes that match no count (first: TTTA-1)"):
        assert part in str(error.value)
    assert "drop_uncounted" in error.value.remedy
    with caplog.at_level(logging.INFO):
        raw = read(root, {"drop_uncounted": True})
    assert list(raw.spots["spot_id"]) == barcodes
    assert "1 of 4 in-tissue barcodes have no counts and are left out" in caplog.text


@pytest.mark.parametrize("options", [{}, {"drop_uncounted": True}])
def test_barcodes_of_another_slide_are_refused(write_visium, options):
    root = write_visium(barcodes=["SSSS-1", "YYYY-1", "ZZZZ-1", "WWWW-1"])
    with pytest.raises(DataContractError, match="4 of 4 barcodes of the matrix without a position"):
        read(root, options)


def test_tissue_without_a_single_count_is_refused_even_on_request(write_visium):
    positions = HEADER + "AAAC-1,0,0,0,300,100\nCCCG-1,0,0,2,300,300\nGGGT-1,0,1,1,473,200\nTTTA-1,0,1,3,473,400\n"
    with pytest.raises(DataContractError, match="1 of 1 in-tissue barcodes that match no count"):
        read(write_visium(positions=positions + "LONE-1,1,0,4,300,500\n"), {"drop_uncounted": True})


@pytest.mark.parametrize(
    ("positions", "parts"),
    [
        (HEADER + "AAAC-1,1,0,0,300,100\nAAAC-1,1,0,2,300,300\n", ["barcodes", "'AAAC-1' more than once"]),
        (HEADER + "AAAC-1,1,0,0,300,\n", ["rows", "a barcode and five numbers", "AAAC-1,1,0,0,300"]),
        (HEADER + "AAAC-1,0,0,0,300,100\n", ["in_tissue", "at least one spot in tissue"]),
        ("barcode,in_tissue,row,col,y,x\nAAAC-1,1,0,0,300,100\n", ["columns", "pxl_row_in_fullres"]),
        ("", ["rows", "a complete table"]),
        ("AAAC-1,1,0,0\n", ["columns", "pxl_row_in_fullres"]),
    ],
)
def test_faulty_positions_are_refused(write_visium, positions, parts):
    root = write_visium(positions=positions)
    with pytest.raises(DataContractError) as error:
        read(root)
    for part in [str(root / "V1/outs/spatial/tissue_positions.csv"), *parts, "Remedy:"]:
        assert part in str(error.value)


def test_the_image_is_the_only_one_beside_the_output_or_named(write_visium):
    root = write_visium()
    outs = root / "V1" / "outs"
    assert visium.files(ROW, root)["image"] == outs / "he.png"
    (outs / "other.tif").write_bytes(b"x")
    assert "name it in the sheet's column image" in visium.missing(ROW, root)
    named = ROW | {"image": "outs/he.png"}
    assert visium.missing(named, root) is None
    assert visium.files(named, root)["image"] == outs / "he.png"
    assert visium.missing(ROW | {"image": "gone.tif"}, root) == "no image at gone.tif"
    (outs / "other.tif").unlink()
    (outs / "he.png").rename(root / "V1" / "he.png")
    assert visium.files(ROW, root)["image"] == root / "V1" / "he.png"
    (root / "V1" / "he.png").rename(root / "he.png")  # beside other slides' folders: only its own name will do
    assert "image" not in visium.files(ROW, root)
    (root / "he.png").rename(root / "V1.png")
    assert visium.files(ROW, root)["image"] == root / "V1.png"


def test_what_is_missing_is_said(write_visium):
    root = write_visium(matrix="mtx", image=False)
    assert visium.missing(ROW, root) == (
        "no full-resolution image, or several, under V1/outs: name it in the sheet's column image; "
        "nor is there a tissue_hires_image.png"
    )
    (root / "V1/outs/spatial/tissue_positions.csv").unlink()
    assert visium.missing(ROW, root).startswith("no tissue_positions.csv and no tissue_positions_list.csv")
    (root / "V1/outs/filtered_feature_bc_matrix/barcodes.tsv").unlink()
    assert visium.missing(ROW, root) == "no barcodes.tsv.gz beside V1/outs/filtered_feature_bc_matrix/matrix.mtx"
    (root / "V1/outs/filtered_feature_bc_matrix/matrix.mtx").unlink()
    assert visium.missing(ROW, root).startswith("no filtered_feature_bc_matrix.h5")


def test_a_slide_declared_without_expression_needs_no_matrix(write_visium):
    root, row = write_visium(), ROW | {"has_expression": "false"}
    (root / "V1/outs/filtered_feature_bc_matrix.h5").unlink()
    assert visium.missing(row, root) is None
    raw = visium.read(row, visium.files(row, root), {})
    assert raw.adata is None
    assert len(raw.spots) == 4


# Space Ranger's versions, as their documentation lists the files of outs/

CELLS = {"TTTA-1": (1, 1, 3), "AAAC-1": (1, 0, 0), "OFF1-1": (0, 0, 4), "CCCG-1": (1, 0, 2), "GGGT-1": (1, 1, 1)}
GENES = ["ENSG00000141736", "ENSG00000211592", "ENSG00000026025"]
COUNTS = np.array([[5, 0, 1], [0, 2, 0], [0, 0, 0], [7, 0, 3]])  # of AAAC, CCCG, GGGT, TTTA
BARCODES = ["AAAC-1", "CCCG-1", "GGGT-1", "TTTA-1"]
SCALE = {"spot_diameter_fullres": 130.0, "fiducial_diameter_fullres": 210.0}  # 65 and 105 µm at 0.5 µm per pixel
PICTURES = {
    "1.0": ["aligned_fiducials.jpg"],
    "1.3": ["aligned_fiducials.jpg", "detected_tissue_image.jpg"],
    "2.1": ["aligned_fiducials.jpg", "detected_tissue_image.jpg", "aligned_tissue_image.jpg", "cytassist_image.tiff"],
    "3.1": ["aligned_fiducials.jpg", "detected_tissue_image.jpg", "aligned_tissue_image.jpg", "cytassist_image.tiff"],
    "4.0": ["aligned_fiducials.jpg", "detected_tissue_image.jpg", "aligned_tissue_image.jpg", "cytassist_image.tiff"],
}


def axis_coded(path, *, zoom=1.0):
    """600 × 800 px (times zoom) whose red counts columns and whose green counts rows, in units of 4 full pixels."""
    rows, columns = np.mgrid[0 : round(800 * zoom), 0 : round(600 * zoom)] / zoom / 4
    pixels = np.stack([columns, rows, np.full_like(rows, 255)], axis=-1)
    Image.fromarray(np.floor(pixels).astype(np.uint8)).save(path)


def text(values):
    return np.array([str(value).encode() for value in values])


def write_h5(path, *, ids=GENES, names=None, kinds=None, genomes=None, counts=COUNTS, barcodes=BARCODES):
    by_gene = np.asarray(counts)
    rows, columns = np.nonzero(by_gene)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["barcodes"], group["shape"] = text(barcodes), np.array(by_gene.shape[::-1])
        group["data"], group["indices"] = by_gene[rows, columns], columns
        group["indptr"] = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(by_gene)))])
        group["features/id"], group["features/name"] = text(ids), text(names or ids)
        group["features/feature_type"] = text(kinds or ["Gene Expression"] * len(ids))
        group["features/genome"] = text(genomes or ["GRCh38"] * len(ids))
        group["features/_all_tag_keys"] = text(["genome"])


@pytest.fixture
def write_outs(tmp_path):
    """The ``outs`` of one version, 0.5 µm per pixel, with the full-resolution image beside it unless told otherwise."""

    def write(version="2.1", *, image=True, small=True, **matrix):
        outs = tmp_path / "V1" / "outs"
        spatial = outs / "spatial"
        spatial.mkdir(parents=True)
        lines = [
            f"{name},{inside},{row},{col},{round(200 + row * 100 * math.sqrt(3))},{100 + col * 100}\n"
            for name, (inside, row, col) in CELLS.items()
        ]
        old = version.startswith("1.")
        (spatial / f"tissue_positions{'_list' if old else ''}.csv").write_text(("" if old else HEADER) + "".join(lines))
        factors = SCALE | {"tissue_hires_scalef": 0.15, "tissue_lowres_scalef": 0.045}
        (spatial / "scalefactors_json.json").write_text(json.dumps(factors))
        for name in PICTURES[version]:
            Image.new("RGB", (30, 40), (9, 9, 9)).save(spatial / name)
        if small:
            axis_coded(spatial / "tissue_hires_image.png", zoom=0.15)
            axis_coded(spatial / "tissue_lowres_image.png", zoom=0.045)
        if image:
            axis_coded(outs / "he.png")
        if version == "2.1":  # CytAssist with antibodies
            matrix.setdefault("ids", [*GENES, "CD3E.1"])
            matrix.setdefault("kinds", ["Gene Expression"] * 3 + ["Antibody Capture"])
            matrix.setdefault("counts", np.column_stack([COUNTS, [9, 9, 9, 9]]))
            matrix.setdefault("genomes", ["GRCh38"] * 3 + [""])
        write_h5(outs / "filtered_feature_bc_matrix.h5", **matrix)
        if version >= "3":
            with h5py.File(outs / "filtered_feature_bc_matrix.h5", "a") as file:  # probes: which set each gene is of
                file["matrix/features/target_sets/Visium Human Transcriptome Probe Set v2.0"] = np.arange(3)
            write_h5(outs / "raw_probe_bc_matrix.h5")
        return tmp_path

    return write


@pytest.mark.parametrize("version", PICTURES)
def test_every_version_is_read_and_its_spots_lie_on_the_image_as_the_axes_say(write_outs, version):
    root = write_outs(version)
    raw = read(root)
    assert raw.adata.X.toarray().tolist() == COUNTS.tolist()
    assert list(raw.adata.var_names) == GENES
    assert raw.spots["x_px"].tolist() == [100, 300, 200, 400]
    assert raw.spots["y_px"].tolist() == [200, 200, 373, 373]
    assert raw.grid_mpp == pytest.approx(0.5, rel=2e-3)  # positions are rounded to pixels
    image = np.asarray(Image.open(visium.files(ROW, root)["image"]))
    seen = image[raw.spots["y_px"].astype(int), raw.spots["x_px"].astype(int)]
    assert seen[:, 0].tolist() == [25, 75, 50, 100]  # x / 4
    assert seen[:, 1].tolist() == [50, 50, 93, 93]  # y / 4
    assert (raw.platform, raw.image_scale, raw.labels) == ("Visium", 1.0, None)


def test_files_that_carry_a_prefix_are_found_if_they_are_the_only_ones(write_outs):
    root = write_outs()
    outs = root / "V1" / "outs"
    for path in [outs / "filtered_feature_bc_matrix.h5", *(outs / "spatial").iterdir()]:
        path.rename(path.with_name(f"GSM1_V1_{path.name}"))
    assert visium.missing(ROW, root) is None
    assert len(read(root).spots) == 4
    write_h5(outs / "GSM2_V2_filtered_feature_bc_matrix.h5")
    assert visium.missing(ROW, root).startswith("no filtered_feature_bc_matrix.h5")


def test_the_pictures_of_space_ranger_are_never_taken_for_the_full_resolution_image(write_outs):
    root = write_outs(image=False)
    outs = root / "V1" / "outs"
    for path in (outs / "spatial").iterdir():
        if path.suffix != ".csv" and path.suffix != ".json":
            path.rename(outs / path.name)
    assert "image" not in visium.files(ROW, root)
    axis_coded(outs / "scan.png")
    assert visium.files(ROW, root)["image"] == outs / "scan.png"


def test_one_genome_of_a_mixed_reference_is_chosen_by_name(write_outs):
    ids = ["GRCh38_ENSG00000141736", "mm10___ENSMUSG00000062312", "GRCh38_ENSG00000026025"]
    names = ["GRCh38_ERBB2", "mm10___Erbb2", "GRCh38_VIM"]
    root = write_outs("3.1", ids=ids, names=names, genomes=["GRCh38", "mm10", "GRCh38"])
    with pytest.raises(DataContractError, match=r"matrix\.h5: genome: .*found 2 \(GRCh38, mm10\).*option genome"):
        read(root)
    raw = read(root, {"genome": "GRCh38"})
    assert list(raw.adata.var_names) == ["ENSG00000141736", "ENSG00000026025"]
    assert list(raw.adata.var["symbol"]) == ["ERBB2", "VIM"]
    assert raw.adata.X.toarray().tolist() == [[5, 1], [0, 0], [0, 0], [7, 3]]
    assert list(read(root, {"genome": "mm10"}).adata.var["symbol"]) == ["Erbb2"]
    with pytest.raises(DataContractError, match=r"genome: expected one of GRCh38, mm10; found 'mm39'"):
        read(root, {"genome": "mm39"})


def test_a_mixed_reference_shows_in_the_names_of_an_mtx(write_visium):
    genes = [("GRCh38_ENSG00000141736", "GRCh38_ERBB2"), ("mm10___ENSMUSG00000062312", "mm10___Erbb2")]
    genes.append(("GRCh38_ENSG00000026025", "GRCh38_VIM"))
    root = write_visium(matrix="mtx.gz", genes=genes)
    with pytest.raises(DataContractError, match=r"genome: .*2 \(GRCh38, mm10\)"):
        read(root)
    assert list(read(root, {"genome": "GRCh38"}).adata.var["symbol"]) == ["ERBB2", "VIM"]


def test_groups_of_a_layout_2_matrix_are_genomes(write_visium):
    root = write_visium(matrix="h5v2")
    with h5py.File(root / "V1/outs/filtered_feature_bc_matrix.h5", "a") as file:
        file.copy("GRCh38", "mm10")
    with pytest.raises(DataContractError, match=r"genome: .*2 \(GRCh38, mm10\)"):
        read(root)
    assert read(root, {"genome": "mm10"}).adata.n_vars == 3


def test_legacy_genes_tsv_of_two_columns_are_genes(write_visium):
    root = write_visium(matrix="mtx")
    folder = root / "V1/outs/filtered_feature_bc_matrix"
    rows = [line.rsplit("\t", 1)[0] for line in (folder / "features.tsv").read_text().split("\n")]
    (folder / "genes.tsv").write_text("\n".join(rows))
    (folder / "features.tsv").unlink()
    assert list(read(root).adata.var["symbol"]) == ["ERBB2", "IGKC", "VIM"]


# the full-resolution image and what stands in for it

PRICE = (
    "tissue_hires_image.png, 3.33 µm per pixel against 0.5 of the full-resolution image: "
    "a patch of 112 µm has 34 px there instead of 224"
)  # 0.5 / 0.15; 112 · 0.15 / 0.5 = 33.6; 112 / 0.5


def test_a_missing_full_resolution_image_is_priced_while_planning_without_opening_one(write_outs, monkeypatch):
    root = write_outs(image=False)
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("an image was opened"))
    assert visium.missing(ROW, root) == (
        "no full-resolution image, or several, under V1/outs: name it in the sheet's column image; "
        f"or set the option image: hires and take {PRICE}"
    )
    assert visium.missing(ROW, root, image="hires") is None


@pytest.mark.parametrize("named", [False, True])
def test_a_missing_full_resolution_image_is_an_error_that_names_the_price(write_outs, named):
    root = write_outs(image=False)
    files = visium.files(ROW, root) | ({"image": root / "V1/he.tif"} if named else {})
    with pytest.raises(DataContractError) as error:
        visium.read(ROW, files, {})
    assert error.value.field == "image of slide V1"
    assert error.value.found == ("no such file" if named else "none")
    assert error.value.path.endswith("he.tif" if named else "tissue_positions.csv")
    assert error.value.remedy.endswith(f"or set the option image: hires and take {PRICE}")


def test_a_downsampled_image_under_the_sheets_name_is_refused_unless_it_is_asked_for(write_outs):
    root = write_outs(image=False)
    row = ROW | {"image": "outs/spatial/tissue_hires_image.png"}
    assert visium.missing(row, root) is None  # the name is there; what it means is read with the file
    with pytest.raises(
        DataContractError, match=r"tissue_hires_image\.png: image of slide V1: .*found a downsampled one"
    ):
        visium.read(row, visium.files(row, root), {})


def test_hires_scales_the_positions_and_says_so(write_outs, caplog):
    root = write_outs(image=False)
    files = visium.files(ROW, root, image="hires")
    assert files["image"] == root / "V1/outs/spatial/tissue_hires_image.png"
    with caplog.at_level(logging.WARNING):
        raw = visium.read(ROW, files, {"image": "hires"})
    assert caplog.messages == [f"V1: the full-resolution image is replaced by {PRICE}"]
    assert raw.platform == "Visium, image 6.67 times coarser"
    assert raw.image_scale == 0.15
    assert raw.spots["x_px"].tolist() == pytest.approx([15, 45, 30, 60])
    assert raw.spots["y_px"].tolist() == pytest.approx([30, 30, 55.95, 55.95])
    assert raw.grid_mpp == pytest.approx(0.5 / 0.15, rel=2e-3)
    image = np.asarray(Image.open(files["image"]))
    seen = image[raw.spots["y_px"].round().astype(int), raw.spots["x_px"].round().astype(int)].astype(int)
    assert seen[:, 0].tolist() == pytest.approx([25, 75, 50, 100], abs=1)  # the same tissue as in full resolution
    assert seen[:, 1].tolist() == pytest.approx([50, 50, 93, 93], abs=1)
    assert raw.adata.X.toarray().tolist() == COUNTS.tolist()


def test_hires_without_its_files_is_missing(write_outs):
    root = write_outs(small=False)
    expected = "no tissue_hires_image.png with its scalefactors_json.json under V1/outs"
    assert visium.missing(ROW, root, image="hires") == expected
    assert "nor is there" not in str(visium.missing(ROW, root))  # the full-resolution image is there


@pytest.mark.parametrize(
    ("content", "field", "found"),
    [
        ("{", "scale factors", "Expecting"),
        ("[]", "tissue_hires_scalef", "no such entry"),
        ('{"tissue_hires_scalef": "0.1"}', "tissue_hires_scalef", "'0.1'"),
        ('{"tissue_hires_scalef": 0}', "tissue_hires_scalef", "0"),
        ('{"tissue_hires_scalef": NaN}', "tissue_hires_scalef", "nan"),
    ],
)
def test_faulty_scale_factors_are_refused(write_outs, content, field, found):
    root = write_outs()
    path = root / "V1/outs/spatial/scalefactors_json.json"
    path.write_text(content)
    assert len(read(root).spots) == 4  # the full-resolution image needs none
    with pytest.raises(DataContractError) as error:
        visium.read(ROW, visium.files(ROW, root, image="hires"), {"image": "hires"})
    assert (error.value.path, error.value.field) == (str(path), field)
    assert error.value.found.startswith(found)


def test_the_options_that_decide_on_files_are_handed_to_the_plan():
    assert base.file_options(visium, {"drop_uncounted": True}) == {"image": "fullres"}
    assert base.file_options(visium, {"image": "hires"}) == {"image": "hires"}
    assert base.file_options(base.load("wsi"), {"pitch_um": 128.0}) == {}
    with pytest.raises(
        DataContractError, match=r"options\.image: expected one of fullres, hires; found 'hire'.*'hires'"
    ):
        visium.missing(ROW, "/", image="hire")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": "hires"}, r"options of visium: expected one of .*found 'images'.*did you mean 'image'"),
        ({"image": "lowres"}, r"options\.image: expected one of fullres, hires; found 'lowres'"),
        ({"image": None}, r"options\.image: expected a value like 'fullres'; found None"),
        ({"genome": 38}, r"options\.genome: expected a value like ''; found 38"),
    ],
)
def test_unknown_options_are_refused(write_outs, options, message):
    with pytest.raises(DataContractError, match=message):
        read(write_outs(), options)


# faulty files that the tests above do not have


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("AAAC-1,1,0,0,nan,100\n", "a barcode and five numbers in each"),
        ("AAAC-1,1,0,0,300,inf\n", "a barcode and five numbers in each"),
        (",1,0,0,300,100\n", "a barcode and five numbers in each"),
        ("AAAC-1,2,0,0,300,100\n", "in_tissue 0 or 1 in each"),
        ("AAAC-1,1,0.5,0,300,100\n", "whole numbers from 0 in array_row and array_col"),
        ("AAAC-1,1,0,-2,300,100\n", "whole numbers from 0 in array_row and array_col"),
    ],
)
def test_positions_that_are_no_places_are_refused(write_visium, lines, expected):
    with pytest.raises(DataContractError) as error:
        read(write_visium(positions=HEADER + lines))
    assert (error.value.field, error.value.expected) == ("rows", expected)
    assert error.value.found.split(",")[0] in ("AAAC-1", "nan")


@pytest.mark.parametrize(("shown", "options"), [("fullres", {}), ("hires", {"image": "hires"})])
def test_positions_outside_the_image_are_refused_when_it_is_ingested(write_outs, tmp_path, shown, options):
    root = write_outs()
    path = root / "V1/outs/spatial/tissue_positions.csv"
    path.write_text(path.read_text().replace("373,400", "373,601"))  # the image is 600 px wide
    outputs = {name: tmp_path / "out" / name for name in ("info", "spots", "thumbnail", "expression")}
    files = visium.files(ROW, root, image=shown)
    with pytest.raises(
        DataContractError, match=r"tissue_positions\.csv: spot positions: .*1 of 4 outside \(first: TTTA-1"
    ):
        ingest_slide(dataset="toy", row=ROW, files=files, options=options, **outputs)
    assert not (tmp_path / "out").exists()


def test_a_matrix_without_genes_is_refused(write_outs):
    kinds = ["Antibody Capture", "Antibody Capture", "Custom"]
    with pytest.raises(DataContractError) as error:
        read(write_outs("3.1", kinds=kinds))
    assert (error.value.field, error.value.expected) == ("feature types", "Gene Expression")
    assert error.value.found == "Antibody Capture, Custom"


def test_an_h5_that_is_no_10x_matrix_is_refused(write_outs):
    root = write_outs()
    path = root / "V1/outs/filtered_feature_bc_matrix.h5"
    with h5py.File(path, "w") as file:
        file["X/data"], file["obs/index"], file["var/index"] = [1.0], text(["a"]), text(["g"])
    with pytest.raises(DataContractError, match=r"matrix\.h5: matrix: .*found no group of a 10x matrix.*X, obs, var"):
        read(root)
    with h5py.File(path, "w") as file:
        file["matrix/features/id"] = text(GENES)
    with pytest.raises(DataContractError, match=r"matrix\.h5: matrix: .*features without feature_type, name"):
        read(root)


def test_a_features_table_of_another_length_is_refused(write_visium):
    root = write_visium(matrix="mtx")
    path = root / "V1/outs/filtered_feature_bc_matrix/features.tsv"
    path.write_text(path.read_text() + "ENSG00000000009\tX\tGene Expression\n")
    with pytest.raises(DataContractError, match=r"matrix\.mtx: features: expected 3 features.*found 4\."):
        read(root)


# real data


def test_a_real_output_of_version_1_is_parsed(shared_data):
    folder = shared_data / "spaceranger" / "1.0.0"
    adata = spaceranger.read_matrix({"matrix": folder / "filtered_feature_bc_matrix.h5"})
    assert adata.shape == (100, 100)
    assert (adata.X.format, adata.X.dtype) == ("csr", np.int32)
    assert adata.X.nnz == 656
    assert adata.var_names[0] == "ENSG00000243485"
    table = positions.read_positions(folder / "spatial" / "tissue_positions_list.csv")
    assert len(table) == 4992
    first = table.iloc[0]
    assert first["barcode"] == "ACGCCTGACACGCGCT-1"
    assert (first["pxl_row_in_fullres"], first["pxl_col_in_fullres"]) == (2546, 2779)
    # 138 px between neighbours in a row; version 1 gives a diameter of 89.4 px for spots that it took for 65 µm
    mpp = positions.grid_mpp(table, pitch_um=100.0)
    assert mpp == pytest.approx(100 / 138, rel=0.005) == pytest.approx(65 / 89.43, rel=0.01)
    paths = {"positions": folder / "spatial/tissue_positions_list.csv"}
    paths["scalefactors"] = folder / "spatial/scalefactors_json.json"
    assert hires.fullres_mpp(paths) == pytest.approx(mpp, rel=0.005)  # from one row of spots, without numpy
    spots = positions.placed(table, adata, path="positions", drop_uncounted=True)
    assert set(spots["barcode"]) == set(adata.obs_names)
    with pytest.raises(DataContractError, match="4135 of 4235 in-tissue barcodes that match no count"):
        positions.placed(table, adata, path="positions", drop_uncounted=False)


REAL = {"slide": "1.0.0", "patient": "P", "layout": "visium"}


def test_a_real_output_without_its_full_resolution_image_is_missing_with_the_price(shared_data):
    assert visium.missing(REAL, shared_data / "spaceranger") == (
        "no full-resolution image, or several, under 1.0.0: name it in the sheet's column image; or set the option "
        "image: hires and take tissue_hires_image.png, 4.84 µm per pixel against 0.727 of the full-resolution image: "
        "a patch of 112 µm has 23 px there instead of 154"
    )


def test_a_real_output_goes_through_on_its_downsampled_image(shared_data):
    options = {"image": "hires", "drop_uncounted": True}
    files = visium.files(REAL, shared_data / "spaceranger", image="hires")
    raw = visium.read(REAL, files, options)
    assert raw.adata.shape == (100, 100)
    assert raw.grid_mpp == pytest.approx(4.834, abs=0.002)  # 0.7252 / 0.150015
    with Image.open(files["image"]) as image:  # black throughout in this copy: no tissue to compare with
        width, height = image.size
    assert raw.spots["x_px"].between(0, width).all()
    assert raw.spots["y_px"].between(0, height).all()


def test_a_real_output_is_ingested_on_its_downsampled_image_and_the_record_says_so(shared_data, tmp_path):
    outputs = {name: tmp_path / name for name in ("info", "spots", "thumbnail", "expression")}
    files = visium.files(REAL, shared_data / "spaceranger", image="hires")
    options = {"image": "hires", "drop_uncounted": True}
    ingest_slide(dataset="toy", row=REAL, files=files, options=options, **outputs)
    info = json.loads(outputs["info"].read_text())
    assert (info["image"], info["platform"]) == ("tissue_hires_image.png", "Visium, image 6.67 times coarser")
    assert (info["mpp"], info["mpp_source"]) == (pytest.approx(4.834, abs=0.002), "spot grid")
    spots = pd.read_parquet(outputs["spots"])
    first = spots.iloc[0]
    assert len(spots) == 100
    # 0.7252 µm per full-resolution pixel, whichever image is read
    positions_of = positions.read_positions(files["positions"]).set_index("barcode")
    assert first["x_um"] == pytest.approx(positions_of.loc[first["spot_id"], "pxl_col_in_fullres"] * 0.7252, rel=1e-4)


def test_a_real_slides_spots_are_in_tissue_where_its_small_image_shows_tissue(shared_data):
    spatial = shared_data / "spaceranger" / "1.0.0" / "spatial"
    table = positions.read_positions(spatial / "tissue_positions_list.csv")
    scale = hires.scalefactors(spatial / "scalefactors_json.json", ("tissue_lowres_scalef",))["tissue_lowres_scalef"]
    with Image.open(spatial / "tissue_lowres_image.png") as image:
        grey = np.asarray(image.convert("L"), float)

    def dark_outside(x, y):
        seen = grey[(table[y] * scale).astype(int), (table[x] * scale).astype(int)]
        return (seen[~table["in_tissue"]] < 160).mean()

    assert dark_outside("pxl_col_in_fullres", "pxl_row_in_fullres") < 0.02
    assert dark_outside("pxl_row_in_fullres", "pxl_col_in_fullres") > 0.3  # axes swapped
