"""The text that the doctor prints."""

from __future__ import annotations

import pytest

from stainscript.doctor.findings import Finding, as_text, few, from_error, missing_in, size
from stainscript.errors import DataContractError

OK = Finding(level="ok", subject="disk", found="90 GB free")
MISSING = Finding(level="missing", subject="uni", found="no weights", remedy="ask there")
NOTE = Finding(level="note", subject="GPU", found="none")


def test_every_finding_has_a_line_and_a_remedy_has_its_own():
    assert as_text([("Machine", [OK]), ("Encoders", [MISSING, NOTE])]) == (
        "Machine\n"
        "  ok      disk: 90 GB free\n"
        "\n"
        "Encoders\n"
        "  MISSING uni: no weights\n"
        "          -> ask there\n"
        "  note    GPU: none\n"
        "\n"
        "1 missing, 1 note, 1 ok\n"
    )


def test_what_is_missing_is_picked_from_all_chapters():
    assert missing_in([("Machine", [OK, MISSING]), ("Encoders", [NOTE, MISSING])]) == [MISSING, MISSING]


def test_an_error_becomes_something_missing_with_the_remedy_apart():
    error = DataContractError("a.tsv", "patient, line 3", expected="a name", found="an empty cell", remedy="fill it")
    found = from_error(error, subject="her2st")
    assert (found.level, found.remedy) == ("missing", "fill it")
    assert found.found == "a.tsv: patient, line 3: expected a name; found an empty cell"


def test_long_lists_are_cut_and_the_rest_is_counted():
    assert few(list("abcde")) == "a, b, c, d, e"
    assert few(list("abcdefg")) == "a, b, c, d, e and 2 more"


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(900, "1 kB"), (3.2e7, "32 MB"), (1.5e9, "1.5 GB"), (2e12, "2 TB"), (0, "0 kB")]
)
def test_sizes_are_in_decimal_units(n_bytes, text):
    assert size(n_bytes) == text
