"""Each published encoder, with random weights in its file's own format and names, against a direct forward pass.

The large transformers are built one block deep, through the ``shrink`` arguments of their files' ``network``; their
full size is in ``test_full_size.py``.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import SwiGLUPacked
from torch.nn import functional
from torchvision import transforms

from stainscript import encoders
from stainscript.artifacts.files import file_sha256
from stainscript.errors import DataContractError
from stainscript.seeds import generator

CPU = {"accelerator": "cpu", "threads": 1}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
SWIGLU = {"mlp_layer": SwiGLUPacked, "act_layer": torch.nn.SiLU}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A published model written down a second time: its file, its forward pass, its transform at its own size."""

    model: Callable[[], torch.nn.Module]  # as published, classifier and all
    forward: Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]
    side: int  # of the images: what the transform resizes to, so that nothing is resampled
    crop: int = 0
    normalise: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    saved: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]] = dict  # model's names → file's content
    shrink: dict[str, Any] = field(default_factory=dict)

    def expected(self, model: torch.nn.Module, images: np.ndarray) -> np.ndarray:
        mean, std = self.normalise
        steps = [transforms.ToTensor(), transforms.Normalize(mean, std)]
        if self.crop:
            steps.insert(0, transforms.ToPILImage())
            steps.insert(1, transforms.CenterCrop(self.crop))
        planes = torch.stack([transforms.Compose(steps)(image) for image in images])
        with torch.inference_mode():
            return self.forward(model.eval(), planes).numpy()


def vit(name: str, **options: Any) -> Callable[[], torch.nn.Module]:
    return lambda: timm.create_model(name, num_classes=0, **options)


def tokens(model: torch.nn.Module, planes: torch.Tensor) -> torch.Tensor:
    """The class token after the last norm, without timm's own pooling."""
    return model.forward_features(planes)[:, 0]


def virchow(model: torch.nn.Module, planes: torch.Tensor) -> torch.Tensor:
    found = model.forward_features(planes)
    assert found.shape[1] == 1 + 4 + 16 * 16
    return torch.cat([found[:, 0], found[:, -256:].mean(dim=1)], dim=1)


def pooled_map(model: torch.nn.Module, planes: torch.Tensor) -> torch.Tensor:
    return model.forward_features(planes).mean(dim=(2, 3))


def third_stage(model: torch.nn.Module, planes: torch.Tensor) -> torch.Tensor:
    x = model.maxpool(model.act1(model.bn1(model.conv1(planes))))
    return model.layer3(model.layer2(model.layer1(x))).mean(dim=(2, 3))


def clip() -> torch.nn.Module:
    from transformers import CLIPConfig, CLIPModel

    text = {"vocab_size": 50, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1}
    vision = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 1, "patch_size": 32}
    return CLIPModel(
        CLIPConfig(
            text_config={**text, "num_attention_heads": 2, "bos_token_id": 1, "eos_token_id": 2},
            vision_config={**vision, "num_attention_heads": 12, "image_size": 224},
            projection_dim=512,
        )
    )


def clip_features(model: torch.nn.Module, planes: torch.Tensor) -> torch.Tensor:
    return model.visual_projection(model.vision_model(pixel_values=planes).pooler_output)


def with_position_ids(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Files of 2023 hold buffers that today's transformers does not save."""
    ids = {"vision_model.embeddings.position_ids": torch.arange(50)[None]}
    return state | ids | {"text_model.embeddings.position_ids": torch.arange(77)[None]}


class Coca(torch.nn.Module):
    """CONCH's image tower by its published names, its attention written out, and something of all else in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = torch.nn.Module()
        self.visual.trunk = timm.create_model("vit_base_patch16_224", img_size=448, num_classes=0, depth=1)
        for name, width in (("contrast", 512), ("caption", 768)):
            pool = torch.nn.Module()
            pool.query = torch.nn.Parameter(torch.randn(1, width))
            pool.attn = torch.nn.MultiheadAttention(width, 8, kdim=768, vdim=768)
            pool.ln_q, pool.ln_k = torch.nn.LayerNorm(width), torch.nn.LayerNorm(768)
            self.visual.add_module(f"attn_pool_{name}", pool)
            self.visual.add_module(f"ln_{name}", torch.nn.LayerNorm(width))
        self.visual.proj_contrast = torch.nn.Parameter(torch.randn(512, 512))
        self.text = torch.nn.Linear(2, 2)
        self.text_decoder = torch.nn.Linear(2, 2)
        self.logit_scale = torch.nn.Parameter(torch.ones([]))


def attended(model: torch.nn.Module, planes: torch.Tensor) -> torch.Tensor:
    """One query's attention over all tokens, head by head."""
    found = model.visual.trunk.forward_features(planes)
    assert found.shape[1] == 1 + 28 * 28
    pool = model.visual.attn_pool_contrast
    keys, query = pool.ln_k(found), pool.ln_q(pool.query)[0]
    bias_q, bias_k, bias_v = pool.attn.in_proj_bias.chunk(3)
    q = pool.attn.q_proj_weight @ query + bias_q
    k, v = keys @ pool.attn.k_proj_weight.T + bias_k, keys @ pool.attn.v_proj_weight.T + bias_v
    heads = []
    for h in range(8):
        part = slice(64 * h, 64 * h + 64)
        weights = torch.softmax(k[..., part] @ q[part] / 8, dim=1)  # √64
        heads.append((weights[..., None] * v[..., part]).sum(dim=1))
    return model.visual.ln_contrast(torch.cat(heads, dim=1) @ pool.attn.out_proj.weight.T + pool.attn.out_proj.bias)


def projected(model: torch.nn.Module, planes: torch.Tensor) -> torch.Tensor:
    return functional.normalize(attended(model, planes) @ model.visual.proj_contrast, dim=1)


def ciga(state: dict[str, torch.Tensor]) -> dict[str, Any]:
    trunk = {f"model.resnet.{name}": value for name, value in state.items() if not name.startswith("fc.")}
    head = {"model.projection.0.weight": torch.ones(3, 512), "model.resnet.fc.weight": torch.ones(9, 512)}
    return {"epoch": 1000, "state_dict": trunk | head}


UNI2 = {"img_size": 224, "patch_size": 14, "num_heads": 24, "embed_dim": 1536, "mlp_ratio": 2.66667 * 2}
UNI2 |= {"init_values": 1e-5, "no_embed_class": True, "reg_tokens": 8, "dynamic_img_size": True, **SWIGLU}
GIGAPATH = {"img_size": 224, "patch_size": 16, "embed_dim": 1536, "num_heads": 24, "mlp_ratio": 5.33334}
VIRCHOW2 = {"init_values": 1e-5, "reg_tokens": 4, "mlp_ratio": 5.3375, "global_pool": "", **SWIGLU}
OPTIMUS = ((0.707223, 0.578729, 0.703617), (0.211883, 0.230117, 0.177517))
ONE = {"depth": 1}
RESNET50 = {"model": lambda: timm.create_model("resnet50"), "shrink": {}}
CONCH = {"model": Coca, "side": 448, "normalise": CLIP, "shrink": ONE}
CIGA = {"model": lambda: timm.create_model("resnet18"), "forward": pooled_map, "side": 224, "saved": ciga}
CASES = {
    "uni": Case(model=vit("vit_large_patch16_224", init_values=1e-5, **ONE), forward=tokens, side=224, shrink=ONE),
    "uni2_h": Case(model=vit("vit_giant_patch14_224", **UNI2, **ONE), forward=tokens, side=224, shrink=ONE),
    "gigapath": Case(
        model=vit("vit_giant_patch14_dinov2", init_values=1e-5, **GIGAPATH, **ONE),
        forward=tokens,
        side=256,
        crop=224,
        shrink=ONE,
    ),
    "virchow2": Case(model=vit("vit_huge_patch14_224", **VIRCHOW2, **ONE), forward=virchow, side=224, shrink=ONE),
    "h_optimus_0": Case(
        model=vit("vit_giant_patch14_reg4_dinov2", img_size=224, init_values=1e-5, **ONE),
        forward=tokens,
        side=224,
        normalise=OPTIMUS,
        shrink=ONE,
    ),
    "conch": Case(forward=attended, **CONCH),
    "conch:projected": Case(forward=projected, **CONCH),
    "plip": Case(
        model=clip,
        forward=clip_features,
        side=224,
        normalise=CLIP,
        saved=with_position_ids,
        shrink={"num_hidden_layers": 1},
    ),
    "ciga_resnet18": Case(**CIGA),
    "ciga_resnet18:unit": Case(**CIGA, normalise=((0, 0, 0), (1, 1, 1))),
    "resnet18": Case(model=lambda: timm.create_model("resnet18"), forward=pooled_map, side=256, crop=224),
    "resnet50": Case(forward=pooled_map, side=256, crop=224, **RESNET50),
    "resnet50:stage3": Case(forward=third_stage, side=96, **RESNET50),
    "densenet121": Case(model=lambda: timm.create_model("densenet121"), forward=pooled_map, side=256, crop=224),
}


@functools.cache
def published(kind: str) -> torch.nn.Module:
    """Random weights under which every part of the network counts: LayerScale is not left at 1e-5."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = CASES[kind].model()
        with torch.no_grad():
            for name, value in model.named_parameters():
                if name.endswith(".gamma"):
                    value.uniform_(0.5, 1.5)
                elif name.endswith(("cls_token", "reg_token", "bias")):
                    value.normal_(std=0.1)
    return model


def save(kind: str, folder: Path, change: Callable[[dict], None] = lambda _: None) -> Path:
    """The published file, in its own format, under its own name."""
    state = {name: value.clone() for name, value in published(kind).state_dict().items()}
    change(state)
    content, path = CASES[kind].saved(state), folder / encoders.card(kind).file
    save_file(content, path) if path.suffix == ".safetensors" else torch.save(content, path)
    return path


@pytest.fixture(autouse=True)
def one_thread():
    """The direct forward passes share the processor as the encoder does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def load(monkeypatch):
    """Load an encoder at the size of its case."""

    def loaded(kind: str, **given: Any):
        source = importlib.import_module(f"stainscript.encoders.{kind.partition(':')[0]}")
        monkeypatch.setattr(source, "network", functools.partial(source.network, **CASES[kind].shrink))
        return encoders.load(kind, hardware=CPU, **given)

    return loaded


def images_of(kind: str, n: int = 2) -> np.ndarray:
    """Axis-coded images with some noise: red grows along the columns, green along the rows."""
    side = CASES[kind].side
    rows, columns = np.mgrid[:side, :side] * 200 // side
    coded = np.stack([columns, rows, np.full_like(rows, 90)], axis=2)
    return (coded + generator(0, "published").integers(0, 50, (n, side, side, 3))).astype(np.uint8)


def test_every_published_encoder_has_a_case():
    assert set(CASES) == set(encoders.published())


@pytest.mark.parametrize("kind", CASES)
def test_the_published_file_gives_the_features_of_a_direct_forward_pass(kind, load, tmp_path):
    path = save(kind, tmp_path)
    encoder = load(kind, weights=path, weights_sha256=file_sha256(path))
    images = images_of(kind)
    features = encoder.encode(images)
    card = encoders.card(kind)
    assert features.shape == (2, card.width)
    assert features.dtype == np.float32
    expected = CASES[kind].expected(published(kind), images)
    np.testing.assert_allclose(features, expected, atol=1e-5 * max(1, np.abs(expected).max()))
    assert np.abs(features[0] - features[1]).max() > 1e-4  # the images count
    turned = encoder.encode(images.transpose(0, 2, 1, 3)[:1])[0]
    assert np.abs(turned - features[0]).max() > 1e-4  # and so do their axes
    assert (encoder.name, encoder.width, encoder.transform) == (kind, card.width, card.transform)
    assert encoder.weights_sha256 == file_sha256(path)
    assert encoder.card["weights"] == f"file {card.file}"
    assert (encoder.card["licence"], encoder.card["pooling"]) == (card.licence, card.pooling)


@pytest.mark.parametrize("kind", ["plip", "virchow2", "resnet50:stage3"])
def test_a_folder_that_holds_the_file_serves_as_well_and_a_blank_is_encoded(kind, load, tmp_path):
    save(kind, tmp_path)
    encoder = load(kind, weights=tmp_path)
    zeros = torch.zeros(1, 3, 224, 224)
    with torch.inference_mode():
        expected = CASES[kind].forward(published(kind).eval(), zeros)[0].numpy()
    np.testing.assert_allclose(encoder.blank(), expected, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize(
    ("kind", "logged"),
    [
        ("plip", ("text_model (", "vision_model.embeddings.position_ids (1 tensors)")),
        ("conch", ("text (2 tensors)", "text_decoder (2 tensors)", "visual.proj_contrast (1 tensors)")),
        ("ciga_resnet18", ("model (1 tensors)", "fc (1 tensors)")),
        ("resnet50:stage3", ("layer4 (", "fc (2 tensors)")),
        ("densenet121", ("classifier (2 tensors)",)),
    ],
)
def test_what_the_file_holds_beside_the_encoder_is_named(kind, logged, load, tmp_path, caplog):
    path = save(kind, tmp_path)
    with caplog.at_level("INFO"):
        load(kind, weights=path)
    for part in logged:
        assert part in caplog.text


FIRST = {"uni": "blocks.0.attn.qkv.weight", "plip": "visual_projection.weight", "resnet18": "layer1.0.conv1.weight"}
FIRST |= {"conch": "visual.attn_pool_contrast.query", "virchow2": "reg_token"}


@pytest.mark.parametrize("kind", FIRST)
@pytest.mark.parametrize("fault", ["missing", "unexpected", "of another shape"])
def test_a_file_with_a_missing_an_extra_or_a_misshapen_tensor_is_refused_by_name(kind, fault, load, tmp_path):
    name = FIRST[kind]

    def spoil(state: dict[str, torch.Tensor]) -> None:
        if fault == "unexpected":
            state["stranger"] = torch.zeros(2)
        elif fault == "missing":
            del state[name]
        else:
            state[name] = torch.zeros(7, 7)

    path = save(kind, tmp_path, spoil)
    with pytest.raises(DataContractError) as error:
        load(kind, weights=path)
    assert (error.value.path, error.value.field) == (str(path), "tensors")
    assert error.value.found.startswith(f"1 {fault}: {'stranger' if fault == 'unexpected' else name} (")
    assert encoders.card(kind).url in error.value.remedy


@pytest.mark.parametrize("kind", encoders.published())
@pytest.mark.parametrize("weights", [None, "hub"])
def test_without_weights_the_error_says_where_to_ask_and_where_to_put_them(kind, weights):
    card = encoders.card(kind)
    with pytest.raises(DataContractError) as error:
        encoders.load(kind, weights=weights, hardware=CPU)
    assert error.value.expected == f"the published weights of {kind}"
    for part in (card.url, card.licence, f"the file is {card.file}", ".weights to its path or folder"):
        assert part in error.value.remedy
    assert ("weights: hub" in error.value.remedy) == (card.repository is not None)


def test_a_folder_without_the_file_says_which_file_is_missing(tmp_path):
    with pytest.raises(DataContractError) as error:
        encoders.load("uni", weights=tmp_path, hardware=CPU)
    assert error.value.path == str(tmp_path / "pytorch_model.bin")
    assert "ask for access at https://huggingface.co/MahmoodLab/UNI" in error.value.remedy


def test_random_weights_must_be_asked_for_and_follow_the_seed(load):
    first, again, other = (load("resnet18", weights="random", seed=seed) for seed in (3, 3, 4))
    images = images_of("resnet18", 1)
    assert first.encode(images).tobytes() == again.encode(images).tobytes()
    assert np.abs(first.encode(images) - other.encode(images)).max() > 1e-3
    assert (first.weights_sha256, first.card["weights"]) == ("random:3", "random, from seed 3")


def test_a_published_encoder_takes_no_options():
    with pytest.raises(DataContractError, match=r"encoder options: expected none for uni.*img_size"):
        encoders.load("uni", weights="random", options={"img_size": 448}, hardware=CPU)
