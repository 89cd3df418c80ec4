"""The measured truth itself: what a perfect prediction would score."""

from __future__ import annotations

from typing import ClassVar

from stainscript.methods.answers import AnswersMethod
from stainscript.methods.oracle.config import Config


class Oracle(AnswersMethod):
    """Hands back the answers it is given."""

    name: ClassVar[str] = "oracle"
    Config: ClassVar[type] = Config


METHOD = Oracle()
