"""One picture, written the ways that the backends read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """700 rows × 900 columns; red follows the column, green the row, blue is a fine texture."""
    rows, columns = np.mgrid[0:700, 0:900]
    return np.stack([columns // 4, rows // 3, (37 * columns + 91 * rows) % 160], axis=-1).astype(np.uint8)


@pytest.fixture(scope="session")
def png(picture, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "slide.png"
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture(scope="session")
def pyramid(picture, tmp_path_factory) -> Path:
    """A tiled TIFF of three levels at 0.5 µm per pixel, lossless; the reduced levels are whole pages."""
    path = tmp_path_factory.mktemp("pyramid") / "slide.tif"
    write_pyramid(path, picture)
    return path


def write_pyramid(path: Path, picture: np.ndarray) -> None:
    with tifffile.TiffWriter(path) as writer:
        for level in range(3):
            reduced = Image.fromarray(picture).reduce(2**level)
            writer.write(
                np.asarray(reduced),
                tile=(128, 128),
                compression="zlib",
                photometric="rgb",
                subfiletype=int(level > 0),
                resolution=(20_000 / 2**level, 20_000 / 2**level),
                resolutionunit="CENTIMETER",
            )
