"""Names of SqueezeNet's weights (Iandola et al. 2016) in the authors' Caffe files."""

from __future__ import annotations

from lensmith.compose.weights.names import by_block

# Two generations of their files call the same three convolutions of a fire module so, and the last convolution so.
_AUTHORS = {"conv1": "squeeze1x1", "conv2": "expand1x1", "conv3": "expand3x3", "maps": "conv10"}
_COMPRESSED = {"conv1": "conv1x1_1", "conv2": "conv1x1_2", "conv3": "conv3x3_2", "maps": "conv_final"}


def _named(layer: str, block: int, names: dict[str, str]) -> str | None:
    if block < 0:
        return names["maps"] if layer.endswith("-maps") else {"stem-1-conv": "conv1"}.get(layer)
    return f"fire{block + 2}/{names[layer]}" if layer in names else None


CAFFE = by_block(
    "SqueezeNet for Caffe", lambda layer, block: _named(layer, block, _AUTHORS), layout="torch", head=("conv10",)
)
COMPRESSED = by_block(
    "SqueezeNet with Deep Compression",
    lambda layer, block: _named(layer, block, _COMPRESSED),
    layout="torch",
    head=("conv_final",),
)
