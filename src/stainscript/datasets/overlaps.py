"""Donors that two published cohorts share under other names. Not a layout: it has no ``files``.

her2st's patients E to H and four of ST-Net's have, section by section, images of one size and spot counts that differ
by one at most: the same tissue was published twice. Whoever trains on one cohort and tests on the other must leave
these patients out. Inferred from the published files; neither publication says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

SAME_PATIENT = {  # (layout, patient) of one cohort → of the other
    ("her2st", "E"): ("stnet", "BC23567"),
    ("her2st", "F"): ("stnet", "BC23810"),
    ("her2st", "G"): ("stnet", "BC23903"),
    ("her2st", "H"): ("stnet", "BC24044"),
}
SAME_SECTION = {f"SPA{n}": f"SPA{n - 26}" for n in range(130, 118, -1)}  # HEST ids: E1 … H3 → BC23567_D2 … BC24044_E2


def shared_donors(rows: Iterable[Mapping[str, str]]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Pairs of ``SAME_PATIENT`` of which both are among the sheets' ``rows``, whatever layout HEST gave them.

    A row stands for a patient by its layout and patient, or by its HEST id.
    """
    rows = list(rows)
    by_name = {(row["layout"], row["patient"]) for row in rows}
    by_id = {row.get("hest_id", "") for row in rows}
    first_ids = list(SAME_SECTION)  # three sections a patient, in the order of SAME_PATIENT
    found = []
    for n, pair in enumerate(SAME_PATIENT.items()):
        ids = first_ids[3 * n : 3 * n + 3]
        here = pair[0] in by_name or not by_id.isdisjoint(ids)
        there = pair[1] in by_name or not by_id.isdisjoint(SAME_SECTION[name] for name in ids)
        if here and there:
            found.append(pair)
    return found
