"""Every published encoder at its full size, on the meta device, which holds shapes and no numbers."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from stainscript import encoders
from stainscript.encoders import network

BLOCKS = {"uni": 24, "uni2_h": 24, "gigapath": 40, "virchow2": 32, "h_optimus_0": 40, "conch": 12, "plip": 12}
MILLIONS = {"uni": 303.350784, "gigapath": 1134.953984, "virchow2": 631.239424, "h_optimus_0": 1134.774272}


@pytest.mark.parametrize("kind", encoders.published())
def test_at_full_size_parameters_operations_and_names_are_the_published_ones(kind):
    card = encoders.card(kind)
    module, _, variant = kind.partition(":")
    source = importlib.import_module(f"stainscript.encoders.{module}")
    with torch.device("meta"):
        model = network.build(source, variant).eval().requires_grad_(requires_grad=False)
        planes = torch.zeros(1, 3, card.input_px, card.input_px)
        with torch.inference_mode(), FlopCounterMode(display=False) as counted:
            features = getattr(source, "pool", lambda output: output)(model(planes))
    assert features.shape == (1, card.width)
    parameters = sum(value.numel() for value in model.parameters())
    assert parameters == card.parameters
    assert parameters == MILLIONS.get(kind, parameters / 1e6) * 1e6
    assert counted.get_total_flops() / 1e9 == pytest.approx(card.gflops, rel=0.01)
    names = model.state_dict()
    if kind in BLOCKS:
        stem = {"conch": "visual.trunk.blocks", "plip": "vision_model.encoder.layers"}.get(kind, "blocks")
        assert any(name.startswith(f"{stem}.{BLOCKS[kind] - 1}.") for name in names)
        assert not any(name.startswith(f"{stem}.{BLOCKS[kind]}.") for name in names)


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        ("uni", {"pos_embed": (1, 197, 1024), "blocks.23.ls2.gamma": (1024,)}),
        ("uni2_h", {"pos_embed": (1, 256, 1536), "reg_token": (1, 8, 1536), "blocks.0.mlp.fc2.weight": (1536, 4096)}),
        ("gigapath", {"pos_embed": (1, 197, 1536), "patch_embed.proj.weight": (1536, 3, 16, 16)}),
        ("virchow2", {"pos_embed": (1, 261, 1280), "blocks.31.mlp.fc1.weight": (6832, 1280)}),
        ("h_optimus_0", {"pos_embed": (1, 256, 1536), "reg_token": (1, 4, 1536)}),
        (
            "conch",
            {"visual.trunk.pos_embed": (1, 785, 768), "visual.attn_pool_contrast.attn.k_proj_weight": (512, 768)},
        ),
    ],
)
def test_at_full_size_tensors_have_the_published_shapes(kind, shapes):
    source = importlib.import_module(f"stainscript.encoders.{kind}")
    with torch.device("meta"):
        names = network.build(source, "").state_dict()
    assert {name: tuple(names[name].shape) for name in shapes} == shapes
