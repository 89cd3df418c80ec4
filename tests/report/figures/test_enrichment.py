"""The dot plot: what is shown, where, how large and how dark, and that no label is cut."""

import xml.etree.ElementTree as ET

import pytest

from stainscript.errors import DataContractError
from stainscript.genes.panels import printed
from stainscript.genes.pathways.enrichment import enrich
from stainscript.genes.pathways.gene_sets import read_gmt
from stainscript.report.figures import svg
from stainscript.report.figures.enrichment import RADIUS_PX, _ticks, dot_plot

NAMESPACE = "{http://www.w3.org/2000/svg}"
GENES = [f"g{n}" for n in range(40)]
GROUPS = {"group 0": GENES[:4], "group 1": GENES[4:8], "group 2": GENES[30:31]}
TERMS = {"late <&>": GENES[4:7], "early": GENES[:4], "weak": [GENES[3], GENES[4], *GENES[8:30]], "none": GENES[35:]}


def drawn(table=None, **options):
    """The root of a plot, its told dots and its texts."""
    table = enrich(GROUPS, TERMS, background=GENES) if table is None else table
    root = ET.fromstring(dot_plot(table, title="Toy & title", **options))
    dots = {dot.find(f"{NAMESPACE}title").text: dot for dot in root.iter(f"{NAMESPACE}circle") if len(dot)}
    return root, dots, [text.text for text in root.iter(f"{NAMESPACE}text")]


def test_each_pair_that_shares_genes_is_one_dot_that_tells_its_genes():
    _, dots, _ = drawn()
    assert sorted(text.split(" (")[0] for text in dots) == [
        "group 0, early: 4 of 4 genes",
        "group 0, weak: 1 of 4 genes",
        "group 1, late <&>: 3 of 4 genes",
        "group 1, weak: 1 of 4 genes",
    ]
    assert any("(g4,g5,g6), p = 0.00" in text for text in dots)


def test_area_is_in_proportion_to_shared_genes_and_the_unlikely_are_dark_with_a_rim():
    _, dots, _ = drawn()
    by_name = {text.split(":")[0]: dot.attrib for text, dot in dots.items()}
    assert float(by_name["group 0, early"]["r"]) == RADIUS_PX
    assert float(by_name["group 0, weak"]["r"]) == pytest.approx(RADIUS_PX / 2)
    assert by_name["group 0, early"]["fill"] == svg.colour(1.0)
    assert by_name["group 0, weak"]["fill"] == svg.colour(0.0)
    rims = {name: attributes["stroke-width"] for name, attributes in by_name.items()}
    assert rims == {"group 0, early": "1.6", "group 0, weak": "0.5", "group 1, late <&>": "1.6", "group 1, weak": "0.5"}


def test_terms_stand_in_the_order_of_their_best_group_and_columns_in_that_of_the_groups():
    root, dots, texts = drawn()
    assert [text for text in texts if text in TERMS] == ["early", "weak", "late <&>"]
    assert [text for text in texts if text in GROUPS] == ["group 0", "group 1"]
    place = {text.split(":")[0]: (float(dot.get("cx")), float(dot.get("cy"))) for text, dot in dots.items()}
    assert place["group 0, early"][0] == place["group 0, weak"][0] < place["group 1, weak"][0]
    assert place["group 0, weak"][1] == place["group 1, weak"][1] > place["group 0, early"][1]
    assert root.get("aria-label") == "Toy & title"


def test_the_legend_says_which_p_value_it_is():
    _, _, texts = drawn()
    assert "−log₁₀ adjusted p" in texts
    assert "3 of 4 gene sets; 1 group shares no gene with them. 2 pairs with adjusted p ≤ 0.05" in texts
    _, _, texts = drawn(enrich(GROUPS, TERMS, correction="none"))
    assert "−log₁₀ nominal p" in texts
    assert "3 of 4 gene sets; 1 group shares no gene with them. 4 pairs with nominal p (not adjusted) ≤ 0.05" in texts


def test_only_the_most_unlikely_terms_are_shown():
    _, dots, texts = drawn(terms=1)
    assert [text for text in texts if text in TERMS] == ["early"]
    assert len(dots) == 1


def test_the_order_of_rows_changes_nothing():
    table = enrich(GROUPS, TERMS, background=GENES)
    assert dot_plot(table, title="t") == dot_plot(table.sample(frac=1, random_state=1), title="t")


def test_no_shared_gene_is_one_clear_error():
    with pytest.raises(DataContractError, match="expected a group and a term that share a gene; found none"):
        dot_plot(enrich({"a": ["x"]}, {"b": ["y"]}, correction="none"), title="t")


def test_no_label_of_the_printed_groups_is_cut(shared_data):
    """Every text and dot lies within the picture, measured with widths that no glyph exceeds."""
    hallmark = read_gmt(shared_data / "genesets" / "h.all.v2025.1.Hs.symbols.gmt")
    groups = {f"group {n:02d}": genes for n, genes in enumerate(printed.groups("genar/her2st"))}
    root, dots, texts = drawn(enrich(groups, hallmark, correction="none"))
    width, height = float(root.get("width")), float(root.get("height"))
    assert "HALLMARK_EPITHELIAL_MESENCHYMAL_TRANSITION" in texts
    assert len(dots) > 100
    for text in root.iter(f"{NAMESPACE}text"):
        x, y, wide = float(text.get("x")), float(text.get("y")), svg.width(text.text, int(text.get("font-size")))
        turned, anchor = text.get("transform") is not None, text.get("text-anchor")
        if turned:
            assert y + wide <= height
        else:
            left = x - wide if anchor == "end" else x
            assert left >= 0
            assert left + wide <= width
    for dot in root.iter(f"{NAMESPACE}circle"):
        x, y, radius = (float(dot.get(key)) for key in ("cx", "cy", "r"))
        assert radius <= x <= width - radius
        assert radius <= y <= height - radius


def test_ticks_are_round_and_few():
    assert _ticks(7.1) == [0, 2, 4, 6]
    assert _ticks(1.30103) == [0, 0.5, 1.0]
    for top in (0.9, 1.0, 1.4, 2.2, 3.3, 5.1, 9.9, 12.0, 48.0, 300.0):
        assert 3 <= len(_ticks(top)) <= 6
        assert _ticks(top)[-1] <= top
