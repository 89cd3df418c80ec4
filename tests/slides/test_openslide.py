import pytest

from stainscript.errors import DataContractError
from stainscript.slides.open import open_slide


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7, 0.9, 0.97])
def test_a_truncated_aperio_slide_is_refused(tmp_path, shared_data, share):
    content = (shared_data / "slides" / "CMU-1-Small-Region.svs").read_bytes()
    path = tmp_path / "cut.svs"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataContractError, match=r"cut\.svs: .*Remedy: copy or export"), open_slide(path) as slide:
        slide.verify()


def test_a_read_of_damaged_tiles_is_an_error_not_a_white_picture(tmp_path, shared_data):
    content = bytearray((shared_data / "slides" / "CMU-1-Small-Region.svs").read_bytes())
    content[200_000:400_000] = bytes(200_000)
    path = tmp_path / "holes.svs"
    path.write_bytes(content)
    with open_slide(path) as slide, pytest.raises(DataContractError, match=r"level 0: expected pixels that decode"):
        slide.read(x_px=0, y_px=0, width_px=slide.width_px, height_px=slide.height_px)
