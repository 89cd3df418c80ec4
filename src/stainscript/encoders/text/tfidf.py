"""TF-IDF with truncated SVD (latent semantic analysis): the offline default. Needs neither weights nor torch.

Terms are words in small letters, runs of words with ``ngrams`` above 1; weights are (1 + ln count) × (1 + ln((1 + G) /
(1 + genes with the term))), rows of unit length (scikit-learn's smoothed form). The SVD is fitted on the texts at hand,
so a gene's vector depends on the other genes: compare vectors of one call alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from stainscript.encoders.text.base import TextCard
from stainscript.encoders.text.reduction import check_dimension, finish, fixed_signs
from stainscript.errors import DataContractError
from stainscript.seeds import stream_seed

logger = logging.getLogger(__name__)

CARD = TextCard(
    name="tfidf",
    url="https://scikit-learn.org/stable/modules/feature_extraction.html",
    width=256,  # at most: fewer genes or terms give fewer dimensions
    poolings=("svd",),
    licence="MIT, as this package",
    citation="Deerwester et al. 1990, J. Am. Soc. Inf. Sci. 41:391-407, "
    "doi:10.1002/(SICI)1097-4571(199009)41:6<391::AID-ASI1>3.0.CO;2-9",
)
SHAPE = {"ngrams": 1, "min_genes": 1, "stop_words": True}  # words a term, genes that a term must have, drop "the", "of"
WORD = r"(?u)\b\w[\w-]*\w\b|\b\w\b"  # hyphens join: HLA-A is one word


class Tfidf:
    """The encoder: ``encode`` fits and transforms (G,) texts in one go."""

    name, pooling, precision, max_length = "tfidf", "svd", "float32", None
    weights_sha256 = "none"
    truncated = 0

    def __init__(self, *, seed: int, options: dict[str, Any], dimension: int | None, normalise: bool) -> None:
        self._seed, self._options = seed, SHAPE | options
        self._dimension, self._normalise = dimension, normalise
        self.card = {"licence": CARD.licence, "weights": "none: fitted on the texts", "citation": CARD.citation}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """G texts → (G, D) float32, D the dimension asked for or the most that there is, up to 256.

        Raises ``DataContractError`` for more than min(G − 1, terms) dimensions, and for texts without any term.
        """
        from sklearn.decomposition import TruncatedSVD

        weighted = self._weighted(texts)
        genes, terms = weighted.shape
        wanted = min(CARD.width, genes - 1, terms) if self._dimension is None else self._dimension
        check_dimension(wanted, genes=genes, width=terms, what="the number of terms")
        svd = TruncatedSVD(
            wanted,
            # ARPACK is exact but cannot give all dimensions; the randomised one is exact when it gives all
            algorithm="arpack" if wanted < min(genes, terms) else "randomized",
            random_state=stream_seed(self._seed, "text encoder", "tfidf") % 2**32,
        )
        svd.fit(weighted)
        logger.info("TF-IDF of %d texts: %d terms, %d dimensions", genes, terms, wanted)
        scores = weighted @ fixed_signs(svd.components_).T
        return finish(scores, dimension=None, normalise=self._normalise)

    def _weighted(self, texts: Sequence[str]) -> Any:
        """(G, terms) CSR of float64."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectoriser = TfidfVectorizer(
            token_pattern=WORD,
            stop_words="english" if self._options["stop_words"] else None,
            ngram_range=(1, self._options["ngrams"]),
            min_df=self._options["min_genes"],
            sublinear_tf=True,
        )
        try:
            return vectoriser.fit_transform(texts)
        except ValueError as error:  # scikit-learn's word for an empty vocabulary
            raise DataContractError(
                "descriptions",
                "text",
                expected=f"words that at least {self._options['min_genes']} genes have",
                found=f"none in {len(texts)} texts",
                remedy="lower the option min_genes, or describe the genes",
            ) from error


def load(*, seed: int, options: dict[str, Any], dimension: int | None, normalise: bool, **_only_svd: Any) -> Tfidf:
    """The encoder with its options; raises ``DataContractError`` for a value that is none."""
    for name, value in options.items():
        wanted = "true or false" if name == "stop_words" else "a whole number from 1"
        if type(value) is not type(SHAPE[name]) or value < (name != "stop_words"):
            raise DataContractError(
                "config.yaml", f"tfidf options {name}", expected=wanted, found=repr(value), remedy="correct it"
            )
    return Tfidf(seed=seed, options=options, dimension=dimension, normalise=normalise)
