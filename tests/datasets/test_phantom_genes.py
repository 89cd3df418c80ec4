"""The phantom's gene table."""

from __future__ import annotations

from collections import Counter

import pytest

from stainscript.datasets.phantom_genes import PROGRAMMES, choose_symbols, programme_of


def test_there_are_at_least_600_genes_and_none_is_in_two_programmes():
    listed = [symbol for programme in PROGRAMMES.values() for symbol in programme.symbols]
    assert len(listed) == len(set(listed)) == len(programme_of()) >= 600


def test_every_kind_has_at_least_three_programmes_and_a_hundred_genes():
    assert {kind: n >= 100 for kind, n in Counter(k for _, k in programme_of().values()).items()} == {
        "patch": True,
        "region": True,
        "nowhere": True,
    }
    per_kind = Counter(p.kind for p in PROGRAMMES.values())
    assert min(per_kind.values()) >= 3


@pytest.mark.parametrize("symbol", ["ERBB2", "MKI67", "IGKC", "ATP5B", "HN1", "MT-CO1", "RPL3", "RPS2"])
def test_symbols_that_filters_and_alias_tables_look_for_are_there(symbol):
    assert symbol in programme_of()


def test_a_smaller_table_is_a_subset_that_serves_all_programmes():
    few, more = choose_symbols(120), choose_symbols(240)
    assert len(few) == 120
    assert set(few) < set(more)
    assert {programme_of()[symbol][0] for symbol in few} == set(PROGRAMMES)
    assert choose_symbols(None) == tuple(programme_of())
