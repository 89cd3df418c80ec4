"""Options of the ceiling control: none."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from stainscript.methods.options import STRICT
from stainscript.types import Needs


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """No options."""

    @property
    def needs(self) -> Needs:
        """The answers, which only controls may ask for."""
        return Needs(answers="expected")
