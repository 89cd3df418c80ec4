import json

import pytest

from stainscript.errors import DataContractError
from stainscript.genes.panels.gene_list import read_gene_list


def test_the_benchmarks_json_keeps_its_order(tmp_path):
    path = tmp_path / "var_50genes.json"
    path.write_text(json.dumps({"genes": ["B", "A"]}))
    assert read_gene_list(path) == ("B", "A")


def test_a_text_file_lists_a_gene_a_line(tmp_path):
    path = tmp_path / "genes.txt"
    path.write_text("\ufeffERBB2\n\n# markers\n GNAS # twice named in the paper\n", encoding="utf-8")
    assert read_gene_list(path) == ("ERBB2", "GNAS")


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("g.json", '{"gene": ["A"]}', "None"),
        ("g.json", '{"genes": ["A", 3]}', "3"),
        ("g.json", "A\nB\n", "JSON"),
        ("g.json", '{"genes": ["A", "B", "A"]}', "'A' more than once"),
        ("g.txt", "# nothing\n", "none"),
        ("g.txt", "A\nB\nA\n", "A more than once"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, name, text, found):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataContractError, match=found) as caught:
        read_gene_list(path)
    assert caught.value.path == str(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataContractError, match="genes_file"):
        read_gene_list(tmp_path / "none.txt")
