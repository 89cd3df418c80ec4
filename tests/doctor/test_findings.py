"""The text that the doctor prints."""

from __future__ import annotations

from stainscript.doctor.findings import Finding, as_text


def test_every_finding_has_a_line_and_a_remedy_has_its_own():
    findings = [
        Finding(level="ok", subject="disk", found="90 GB free"),
        Finding(level="missing", subject="uni", found="no weights", remedy="ask there"),
        Finding(level="note", subject="GPU", found="none"),
    ]
    assert as_text([("Machine", findings[:1]), ("Encoders", findings[1:])]) == (
        "Machine\n"
        "  ok      disk: 90 GB free\n"
        "\n"
        "Encoders\n"
        "  MISSING uni: no weights\n"
        "          -> ask there\n"
        "  note    GPU: none\n"
        "\n"
        "1 missing, 1 notes, 1 ok\n"
    )
