"""English text to words as the Moses tokeniser does it, on which BioGPT's vocabulary was built.

Rules: Koehn et al. 2007 (Moses, tokenizer.perl) with the switches that BioGPT used: hyphens between letters or digits
become ``@-@``, signs that mark-up needs are written as entities. Written here because the usual port is one more
dependency; the two agree word for word on the cases of the tests.
"""

from __future__ import annotations

import string
from itertools import pairwise

import regex

ALPHA, DIGIT, NUMBER = r"\p{Alphabetic}", r"\p{Nd}", r"\p{N}"
_DOT = "\ue000"  # stands for a dot of a run of dots, which no later rule may touch
_SPACES, _CONTROLS = regex.compile(r"\s+"), regex.compile(r"[\x00-\x1f]")
_ABBREVIATED, _FINAL = regex.compile(r"(\S+)\."), regex.compile(r"\.' ?$")
_RULES = [
    (regex.compile(pattern), replacement)
    for pattern, replacement in [
        (rf"([^{ALPHA}{DIGIT}\s.'`,\-])", r" \1 "),  # every other sign stands alone
        (rf"([{ALPHA}{DIGIT}])-(?=[{ALPHA}{DIGIT}])", r"\1 @-@ "),
        (r"\.{2,}", lambda run: f" {_DOT * len(run.group())} "),
        (rf"([^{NUMBER}]),", r"\1 , "),  # a comma stays within a number: 5,300
        (rf",([^{NUMBER}])", r" , \1"),
        (rf"([{NUMBER}]),$", r"\1 , "),
        (rf"([^{ALPHA}])'([^{ALPHA}])", r"\1 ' \2"),  # what an apostrophe shortens goes with it: gene 's
        (rf"([^{ALPHA}{NUMBER}])'([{ALPHA}])", r"\1 ' \2"),
        (rf"([{ALPHA}])'([^{ALPHA}])", r"\1 ' \2"),
        (rf"([{ALPHA}])'([{ALPHA}])", r"\1 '\2"),
        (rf"([{NUMBER}])'(s)", r"\1 '\2"),
    ]
]
_ENTITIES = str.maketrans(
    {"&": "&amp;", "|": "&#124;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;", "[": "&#91;", "]": "&#93;"}
)
_LISTED = """
Adj Adm Adv Asst Bart Bldg Brig Bros Capt Cmdr Col Comdr Con Corp Cpl DR Dr Drs Ens Gen Gov Hon Hr Hosp Insp Lt MM MR
MRS MS Maj Messrs Mlle Mme Mr Mrs Ms Msgr Op Ord Pfc Ph Prof Pvt Rep Reps Res Rev Rt Sen Sens Sfc Sgt Sr St Supt Surg
v vs i.e rev e.g Rs Nos Nr Jan Feb Mar Apr Jun Jul Aug Sep Oct Nov Dec
"""
_ABBREVIATIONS = frozenset([*string.ascii_uppercase, *_LISTED.split()])
_BEFORE_NUMBERS = frozenset({"No", "Art", "pp"})  # an abbreviation only where a number follows


def words(text: str) -> list[str]:
    """The text's words and signs, signs of mark-up as entities."""
    text = _CONTROLS.sub("", _SPACES.sub(" ", text)).strip()
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = _FINAL.sub(" . ' ", " ".join(_full_stops(text.split())))
    return text.replace(_DOT, ".").translate(_ENTITIES).split()


def _full_stops(found: list[str]) -> list[str]:
    """The words, a full stop parted from those that are no abbreviation."""
    return [_parted(word, following) for word, following in pairwise([*found, ""])]


def _parted(word: str, following: str) -> str:
    match = _ABBREVIATED.fullmatch(word)
    if match is None:
        return word
    stem = match.group(1)
    dotted = "." in stem and regex.search(ALPHA, stem)
    continued = regex.match(r"\p{Lowercase}", following)
    numbered = stem in _BEFORE_NUMBERS and regex.match("[0-9]", following)
    return word if dotted or continued or numbered or stem in _ABBREVIATIONS else f"{stem} ."
