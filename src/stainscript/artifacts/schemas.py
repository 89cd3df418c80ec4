"""What each stored kind holds: array names, dimensions, dtypes and the attributes that must be there."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ArraySchema:
    """One array of a store: its named dimensions and the dtypes it may have."""

    dims: tuple[str, ...]
    dtypes: tuple[str, ...]


@dataclass(frozen=True)
class StoreSchema:
    """One kind of Zarr store. Arrays that share a dimension name must agree on its length."""

    zarr_name: str
    arrays: dict[str, ArraySchema]
    attrs: tuple[str, ...]
    optional: dict[str, ArraySchema] = field(default_factory=dict)


STRING = ("string",)
CELL = ArraySchema(("spot",), ("int8",))  # field views: where the spot's patch lies; -1: nowhere inside the slide

PATCH_ATTRS = ("dataset", "slide", "view", "width_px", "mpp", "edge", "outside_share")
FEATURE_ATTRS = ("dataset", "slide", "view", "encoder", "weights_sha256", "transform", "precision")

STORES: dict[str, StoreSchema] = {
    "patches": StoreSchema(
        zarr_name="images.zarr",
        arrays={
            "images": ArraySchema(("spot", "y", "x", "rgb"), ("uint8",)),
            "spot_id": ArraySchema(("spot",), STRING),
        },
        attrs=PATCH_ATTRS,
        optional={"cell": CELL},
    ),
    "regions": StoreSchema(
        zarr_name="images.zarr",
        arrays={
            "images": ArraySchema(("spot", "neighbour", "y", "x", "rgb"), ("uint8",)),
            "mask": ArraySchema(("spot", "neighbour"), ("bool",)),
            "spot_id": ArraySchema(("spot",), STRING),
        },
        attrs=PATCH_ATTRS,
    ),
    "features": StoreSchema(
        zarr_name="features.zarr",
        arrays={
            "features": ArraySchema(("spot", "feature"), ("float16", "float32")),
            "spot_id": ArraySchema(("spot",), STRING),
        },
        attrs=FEATURE_ATTRS,
        optional={"cell": CELL},
    ),
    "region_features": StoreSchema(
        zarr_name="features.zarr",
        arrays={
            "features": ArraySchema(("spot", "neighbour", "feature"), ("float16", "float32")),
            "mask": ArraySchema(("spot", "neighbour"), ("bool",)),
            "spot_id": ArraySchema(("spot",), STRING),
        },
        attrs=FEATURE_ATTRS,
    ),
    "tokens": StoreSchema(
        zarr_name="tokens.zarr",
        arrays={
            "tokens": ArraySchema(("spot", "position"), ("int32",)),  # rank tokens, padded right; or one count a gene
            "spot_id": ArraySchema(("spot",), STRING),
        },
        attrs=("dataset", "slide", "rule", "vocabulary_sha256", "training_slides"),
        optional={"gene_id": ArraySchema(("position",), STRING)},  # count tokens: the gene of each position
    ),
    "gene_text": StoreSchema(
        zarr_name="embeddings.zarr",
        arrays={
            "embeddings": ArraySchema(("gene", "feature"), ("float32",)),
            "gene_id": ArraySchema(("gene",), STRING),
        },
        attrs=("source", "release", "prompt", "model", "encoder", "weights_sha256", "pooling", "descriptions_sha256"),
    ),
    "predictions": StoreSchema(
        zarr_name="predicted.zarr",
        arrays={
            "predicted": ArraySchema(("spot", "gene"), ("float32",)),
            "spot_id": ArraySchema(("spot",), STRING),
            "gene_id": ArraySchema(("gene",), STRING),
        },
        attrs=("experiment", "slide", "fold", "seed", "space", "panel_sha256", "checkpoint_sha256"),
    ),
}

PATCHES = ("patches", "regions")  # kinds of a view's images
FEATURES = ("features", "region_features")  # kinds of a view's features
EXPRESSION_OBSM = ("xy_um", "xy_px", "grid")
EXPRESSION_UNS = ("dataset", "slide", "patient", "platform", "identifier_release")
SPOT_COLUMNS = ("spot_id", "x_px", "y_px", "x_um", "y_um", "grid_row", "grid_col")
PANEL_COLUMNS = ("gene_id", "symbol", "rank", "mean", "variance")
