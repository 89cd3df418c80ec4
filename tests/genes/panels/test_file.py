import pytest

from stainscript.errors import DataContractError
from stainscript.genes.panels import select as panels
from stainscript.genes.panels.file import read_panel, write_panel
from stainscript.types import Panel

PANEL = Panel(
    name="p",
    gene_ids=("ENSG1", "ENSG2"),
    symbols=("A", "B"),
    mean=(0.1, 1 / 3),
    variance=(2.0, 1e-17),
    training_slides=("A1", "B 2"),
)


def test_a_panel_survives_the_file_to_the_last_bit(tmp_path):
    write_panel(tmp_path / "p.tsv", PANEL, facts={"rule": {"n": 2}})
    assert read_panel(tmp_path / "p.tsv") == PANEL
    assert panels.read_panel is read_panel


def test_equal_panels_are_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_panel(tmp_path / name, PANEL, facts={"target": "log1p"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_table_starts_after_the_facts(tmp_path):
    write_panel(tmp_path / "p.tsv", PANEL, facts={"target": "log1p"})
    lines = (tmp_path / "p.tsv").read_text().splitlines()
    assert lines[0] == '# name: "p"'
    assert lines[3] == '# target: "log1p"'
    assert lines[4] == "gene_id\tsymbol\trank\tmean\tvariance"
    assert lines[5].startswith("ENSG1\tA\t1\t0.1\t2.0")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("ENSG2", "ENSG3", "sha256"),
        ("\t2\t", "\t7\t", "rank"),
        ("gene_id\t", "gene\t", "columns"),
        ("# sha256", "# other", "head"),
    ],
)
def test_a_changed_file_is_refused(tmp_path, old, new, field):
    path = tmp_path / "p.tsv"
    write_panel(path, PANEL)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataContractError, match=f"p.tsv: {field}:"):
        read_panel(path)
