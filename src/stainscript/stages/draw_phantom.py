"""Draw one slide of the embedded dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stainscript.artifacts.files import complete_folder
from stainscript.datasets import phantom


def draw_phantom(*, slide: str, options: Mapping[str, Any], out: str | Path) -> None:
    """Write the raw files of the phantom's ``slide`` into the folder ``out``, whole or not at all.

    options: fields of ``phantom.Options``. Raises ``DataContractError`` for an unknown slide or option.
    """
    chosen = phantom.Options.read(options)
    with complete_folder(out) as folder:
        phantom.draw(slide=slide, options=chosen, out=folder)
