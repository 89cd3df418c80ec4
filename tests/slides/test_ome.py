"""OME-TIFF: axes and planes, sub-IFDs as levels, and the scale of the OME-XML."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from stainscript.errors import DataContractError
from stainscript.slides.metadata import ome_mpp
from stainscript.slides.open import open_slide

OTHER = '<UUID FileName="b.tif">urn:uuid:1</UUID>'
BOX = {"x_px": 133, "y_px": 61, "width_px": 500, "height_px": 321}


def write(path, pixels, *, axes, subifds=0, sizes=(0.25, "µm"), bigtiff=False, **options):
    """An OME-TIFF whose reduced levels take every second pixel."""
    metadata = {"axes": axes}
    if sizes:
        size, unit = sizes
        metadata |= {f"PhysicalSize{axis}{key}": value for axis in "XY" for key, value in (("", size), ("Unit", unit))}
    with tifffile.TiffWriter(path, ome=True, bigtiff=bigtiff) as writer:
        writer.write(pixels, tile=(128, 128), subifds=subifds, metadata=metadata, **options)
        for _ in range(subifds):
            cut = tuple(slice(None, None, 2 if axis in "YX" else 1) for axis in axes)
            pixels = pixels[cut]
            writer.write(pixels, tile=(128, 128), subfiletype=1, metadata=None, **options)


@pytest.mark.parametrize(
    ("axes", "options"),
    [
        ("YXS", {"photometric": "rgb"}),
        ("YXS", {"photometric": "rgb", "compression": "zlib", "bigtiff": True}),
        ("SYX", {"photometric": "rgb", "planarconfig": "separate"}),
        ("CYX", {"photometric": "minisblack"}),  # a page for each colour
        ("CYX", {"photometric": "minisblack", "compression": "lzw"}),
    ],
    ids=["interleaved", "BigTIFF", "planes", "pages", "compressed pages"],
)
def test_every_arrangement_of_the_colours_gives_the_same_pixels_and_levels(tmp_path, picture, axes, options):
    path = tmp_path / "a.ome.tif"
    write(path, picture if axes == "YXS" else np.moveaxis(picture, -1, 0), axes=axes, subifds=2, **options)
    with open_slide(path) as slide:
        assert slide.reader == "tiff"
        assert slide.level_sizes == [(900, 700), (450, 350), (225, 175)]
        assert slide.mpp == pytest.approx(0.25)
        slide.verify()
        np.testing.assert_array_equal(slide.read(**BOX), picture[61 : 61 + 321, 133 : 133 + 500])
        second = slide.level_box(1, left=3, top=130, width=200, height=100)
        np.testing.assert_array_equal(second, picture[::2, ::2][130:230, 3:203])


@pytest.mark.parametrize(
    ("sizes", "mpp"),
    [
        ((0.5, "µm"), 0.5),
        ((500, "nm"), 0.5),
        ((5e-4, "mm"), 0.5),
        ((0.5, "pixel"), None),
        (None, None),
        ((50, "µm"), None),
    ],
)
def test_the_scale_comes_in_the_unit_that_the_xml_states(tmp_path, picture, sizes, mpp):
    write(tmp_path / "a.ome.tif", picture, axes="YXS", photometric="rgb", sizes=sizes)
    with open_slide(tmp_path / "a.ome.tif") as slide:
        assert slide.mpp == (mpp if mpp is None else pytest.approx(mpp))


def test_the_scale_is_that_of_the_image_itself_not_of_its_overview():
    xml = """<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
      <Image><Pixels SizeX="90" SizeY="70" PhysicalSizeX="5" PhysicalSizeY="5"/></Image>
      <Image><Pixels SizeX="900" SizeY="700" PhysicalSizeX="0.5" PhysicalSizeY="0.5"/></Image></OME>"""
    assert ome_mpp(xml, width_px=900, height_px=700) == 0.5
    assert ome_mpp(xml, width_px=90, height_px=70) == 5
    assert ome_mpp(xml, width_px=91, height_px=70) is None


def test_an_overview_that_comes_first_is_passed_over(tmp_path, picture):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for pixels, size in ((picture[::10, ::10], 5.0), (picture, 0.5)):
            metadata = {"axes": "YXS", "PhysicalSizeX": size, "PhysicalSizeY": size}
            writer.write(pixels, photometric="rgb", metadata=metadata)
    with open_slide(path) as slide:
        assert (slide.width_px, slide.height_px, slide.mpp) == (900, 700, 0.5)
        np.testing.assert_array_equal(slide.read(**BOX), picture[61 : 61 + 321, 133 : 133 + 500])


@pytest.mark.parametrize(("count", "axes"), [(3, "ZYX"), (2, "CYX"), (4, "CYX")])
def test_a_stack_or_fluorescence_channels_are_refused(tmp_path, picture, count, axes):
    stack = np.stack([picture[..., 0]] * count)
    write(tmp_path / "a.ome.tif", stack, axes=axes, photometric="minisblack")
    with pytest.raises(DataContractError, match=rf"a\.ome\.tif: pixels: .*found uint8, {count} page\(s\) along {axes}"):
        open_slide(tmp_path / "a.ome.tif")


def test_an_image_spread_over_files_is_refused(tmp_path, picture):
    write(tmp_path / "a.ome.tif", np.moveaxis(picture, -1, 0), axes="CYX", photometric="minisblack")
    whole = (tmp_path / "a.ome.tif").read_bytes()
    (tmp_path / "b.tif").write_bytes(whole)
    start, end = whole.index(b"<OME"), whole.index(b"</OME>") + len(b"</OME>")
    planes = enumerate(("", OTHER, ""))
    parts = [f'<TiffData FirstC="{plane}" IFD="0" PlaneCount="1">{uuid}</TiffData>' for plane, uuid in planes]
    xml = (
        '<OME><Image><Pixels DimensionOrder="XYCZT" Type="uint8" SizeX="900" SizeY="700" SizeC="3" SizeZ="1" SizeT="1">'
        + "".join(parts)
        + "</Pixels></Image></OME>"
    ).encode()
    (tmp_path / "a.ome.tif").write_bytes(whole[:start] + xml.ljust(end - start) + whole[end:])
    assert len(xml) <= end - start, "the XML of the test must fit where the old one was"
    with pytest.raises(DataContractError, match=r"a\.ome\.tif: OME-XML: .*Remedy: export the slide as one OME-TIFF"):
        open_slide(tmp_path / "a.ome.tif")
