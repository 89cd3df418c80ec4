"""TRIDENT at given places: its patcher's dataset in a DataLoader, or its feature extraction with an idle model.

Arguments: slide, spots, ``patches`` or ``features``, workers. TRIDENT is installed from its sources alone; PYTHONPATH
holds their folder. Not timed: opening the slide and the file of coordinates, which its earlier step hands over. Its
loader takes three quarters of the cores, one worker on a machine of two: here it gets as many as the others. Batches
of 64, its command's default, were as fast as 16 and 32 and faster than 128. Its command enters no inference mode; here
it does.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import h5py
import numpy as np
import torch
from timing import MEAN, SIDE_PX, STD, arguments, collect, memory, serve
from torch.utils.data import DataLoader
from trident import OpenSlideWSI, WSIPatcherDataset
from trident.IO import coords_to_h5
from trident.patch_encoder_models import CustomInferenceEncoder
from trident.patch_encoder_models.utils.transform_utils import get_eval_transforms
from trident.wsi_objects import WSI as wsi_module

BATCH = 64
MAGNIFICATION = 20  # 0.5 µm per pixel


class Idle(torch.nn.Module):
    """No network: the centre pixel of each tensor."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, :, SIDE_PX // 2, SIDE_PX // 2].clone()


def main() -> None:
    warnings.simplefilter("ignore")
    slide, spots, what, workers, _ = arguments()
    corners = spots - SIDE_PX // 2
    wsi = OpenSlideWSI(slide_path=str(slide), lazy_init=False, max_workers=workers)
    wsi_module.get_num_workers = lambda *_, **__: workers
    room = memory(len(spots)) if what == "patches" else None
    scale = {"src_mag": MAGNIFICATION, "dst_mag": MAGNIFICATION}

    def patches() -> np.ndarray:
        dataset = WSIPatcherDataset(wsi.create_patcher(SIDE_PX, custom_coords=corners, pil=False, **scale), None)
        loader = DataLoader(dataset, batch_size=BATCH, num_workers=workers, multiprocessing_context="fork")
        return collect((images.numpy() for images, _ in loader), into=room)

    def features(coords: Path) -> np.ndarray:
        encoder = CustomInferenceEncoder("idle", Idle(), get_eval_transforms(MEAN, STD, SIDE_PX), torch.float32)
        with torch.inference_mode():
            made = wsi.extract_patch_features(encoder, str(coords), str(coords.parent), device="cpu", batch_limit=BATCH)
        with h5py.File(made) as file:
            return file["features"][:]

    with tempfile.TemporaryDirectory() as folder:
        coords = Path(folder) / "coords.h5"
        coords_to_h5(
            corners, coords, SIDE_PX, MAGNIFICATION, MAGNIFICATION, folder, wsi.width, wsi.height, "slide", overlap=0
        )
        serve(
            patches if what == "patches" else lambda: features(coords),
            name="TRIDENT (sources), OpenSlide",
            settings=f"batches of {BATCH}, {workers} worker processes",
        )


if __name__ == "__main__":
    main()
