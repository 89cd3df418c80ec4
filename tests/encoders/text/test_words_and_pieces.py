"""BioGPT's words (Moses) and pieces (byte pairs), worked out by hand from the published rules."""

from __future__ import annotations

import pytest

from stainscript.encoders.text.biogpt import pieces, tokens
from stainscript.encoders.text.moses import words
from stainscript.encoders.text.tokens import for_tests

SENTENCES = {
    "This gene encodes a kinase.": "This gene encodes a kinase .",
    "TGF-beta receptor, type II": "TGF @-@ beta receptor , type II",
    "HLA-A*02:01": "HLA @-@ A * 02 : 01",
    "5,300 genes, 7,": "5,300 genes , 7 ,",
    "Alzheimer's disease and 5'-UTR": "Alzheimer &apos;s disease and 5 &apos; -UTR",
    "e.g. in humans, i.e. us": "e.g. in humans , i.e. us",
    "See Fig. in text. Next": "See Fig. in text . Next",  # a small letter follows Fig, a capital follows text
    "No. 5 but No. Five": "No. 5 but No . Five",
    "wait... what": "wait ... what",
    "[provided by RefSeq, Jul 2008].": "&#91; provided by RefSeq , Jul 2008 &#93; .",
    'a <b> & "c" | d': "a &lt; b &gt; &amp; &quot; c &quot; &#124; d",
    "α-synuclein, 2²": "α @-@ synuclein , 2 ²",
    "CD8+ T-cells; Na+/K+-ATPase": "CD8 + T @-@ cells ; Na + / K + -ATPase",
    "the end.'": "the end . &apos;",
    " odd\t\x01spaces  ": "odd spaces",
    "": "",
    "  ": "",
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_words_and_signs_are_parted_as_moses_parts_them(sentence):
    assert " ".join(words(sentence)) == SENTENCES[sentence]


def test_pairs_are_joined_by_rank_and_wherever_they_stand():
    ranks = {("l", "o"): 0, ("lo", "w</w>"): 1, ("a", "b"): 2, ("e", "r</w>"): 3, ("o", "w"): 4}
    assert pieces("low", ranks) == ("low</w>",)  # l o w → lo w → low; o w has a worse rank than l o
    assert pieces("lower", ranks) == ("lo", "w", "er</w>")
    assert pieces("ababab", ranks) == ("ab", "ab", "a", "b</w>")  # the last b ends the word and is another token
    assert pieces("lolo", ranks) == ("lo", "l", "o</w>")
    assert pieces("x", ranks) == ("x</w>",)


def test_a_text_opens_with_one_sign_and_unknown_pieces_have_their_own(published):
    folder = published("biogpt").folder
    found = tokens(folder)
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>"]
    (ids,) = found.ids(["the erb ß"])
    assert ids[0] == vocabulary.index("</s>")
    assert ids[-1] == vocabulary.index("<unk>")
    assert len(ids) == 4  # the</w>, erb in two joined pieces → er, b</w> → erb</w>, and the unknown sign
    assert found.pad == 1
    assert found.closing == 0


def test_hashed_words_stay_within_the_vocabulary_and_apart_from_special_tokens():
    made = for_tests(rows=30, pad=0, closing=1)
    (one, two) = made.ids(["Kinase, kinase of a cell", ""])
    assert (one[0], one[-1]) == (3, 4)
    assert two == [3, 4]
    assert one[1] == one[3]
    assert all(5 <= n < 30 for n in one[1:-1])
    assert len(one) == 8
