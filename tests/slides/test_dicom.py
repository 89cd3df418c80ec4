"""A DICOM slide, written here byte by byte, goes to OpenSlide by one of its files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from stainscript.slides.open import open_slide

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"  # SOP class: VL Whole Slide Microscopy Image
PLAIN = "1.2.840.10008.1.2.1"  # transfer syntax: explicit, little endian, uncompressed
LONG = ("OB", "SQ")  # value representations whose length has four bytes


def element(group: int, number: int, kind: str, value: bytes | str) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    value += (b"\0" if kind in ("UI", "OB") else b" ") * (len(value) % 2)
    length = struct.pack("<HI", 0, len(value)) if kind in LONG else struct.pack("<H", len(value))
    return struct.pack("<HH", group, number) + kind.encode() + length + value


def short(group: int, number: int, value: int) -> bytes:
    return element(group, number, "US", struct.pack("<H", value))


def sequence(group: int, number: int, content: bytes) -> bytes:
    return element(group, number, "SQ", struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content)


def write_dicom(path: Path, pixels: np.ndarray, *, tile: int, mpp: float) -> None:
    """One level in square tiles, all stored, row after row."""
    height, width, _ = pixels.shape
    rows, columns = -(-height // tile), -(-width // tile)
    padded = np.pad(pixels, [(0, rows * tile - height), (0, columns * tile - width), (0, 0)])
    frames = padded.reshape(rows, tile, columns, tile, 3).swapaxes(1, 2)
    kind = "ORIGINAL\\PRIMARY\\VOLUME\\NONE"
    meta = element(2, 1, "OB", b"\0\1") + element(2, 2, "UI", WHOLE_SLIDE) + element(2, 3, "UI", "1.2.3.4")
    meta += element(2, 0x10, "UI", PLAIN) + element(2, 0x12, "UI", "1.2.3")
    spacing = f"{mpp / 1000:.6f}\\{mpp / 1000:.6f}"  # mm
    measures = sequence(0x28, 0x9110, element(0x28, 0x30, "DS", spacing))
    body = [
        element(8, 8, "CS", kind),
        element(8, 0x16, "UI", WHOLE_SLIDE),
        element(8, 0x18, "UI", "1.2.3.4"),
        element(8, 0x60, "CS", "SM"),
        element(0x20, 0xD, "UI", "1.2.3.5"),
        element(0x20, 0xE, "UI", "1.2.3.6"),
        element(0x20, 0x9311, "CS", "TILED_FULL"),
        short(0x28, 2, 3),
        element(0x28, 4, "CS", "RGB"),
        short(0x28, 6, 0),
        element(0x28, 8, "IS", str(rows * columns)),
        short(0x28, 0x10, tile),
        short(0x28, 0x11, tile),
        short(0x28, 0x100, 8),
        short(0x28, 0x101, 8),
        short(0x28, 0x102, 7),
        short(0x28, 0x103, 0),
        element(0x48, 6, "UL", struct.pack("<I", width)),
        element(0x48, 7, "UL", struct.pack("<I", height)),
        element(0x48, 0x302, "UL", struct.pack("<I", 1)),
        element(0x48, 0x303, "UL", struct.pack("<I", 1)),
        sequence(0x5200, 0x9229, measures),
        element(0x7FE0, 0x10, "OB", frames.tobytes()),
    ]
    size = element(2, 0, "UL", struct.pack("<I", len(meta)))
    path.write_bytes(bytes(128) + b"DICM" + size + meta + b"".join(body))


def test_a_dicom_slide_is_read_by_one_of_its_files(tmp_path, picture):
    write_dicom(tmp_path / "level-0.dcm", picture, tile=128, mpp=0.499)
    with open_slide(tmp_path / "level-0.dcm") as slide:
        assert (slide.reader, slide.level_sizes) == ("openslide", [(900, 700)])
        assert slide.mpp == pytest.approx(0.499)
        slide.verify()
        region = slide.read(x_px=133, y_px=61, width_px=500, height_px=321)
        np.testing.assert_array_equal(region, picture[61 : 61 + 321, 133 : 133 + 500])
