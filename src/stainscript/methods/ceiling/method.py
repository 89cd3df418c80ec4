"""The true expectation of each spot: what no method can honestly pass."""

from __future__ import annotations

from typing import ClassVar

from stainscript.methods.answers import AnswersMethod
from stainscript.methods.ceiling.config import Config


class Ceiling(AnswersMethod):
    """Hands back the answers it is given."""

    name: ClassVar[str] = "ceiling"
    Config: ClassVar[type] = Config


METHOD = Ceiling()
