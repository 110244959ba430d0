"""Names of EfficientNet's weights (Tan & Le 2019) in keras.applications."""

from __future__ import annotations

import re
from dataclasses import replace

from lensmith.compose.weights.names import by_name

_BLOCK = re.compile(r"learner-group(\d+)-block(\d+)-(.+)")
_LAYERS = {
    "conv1": "expand_conv",
    "norm1": "expand_bn",
    "conv2": "dwconv",
    "norm2": "bn",
    "reduce": "se_reduce",
    "expand": "se_expand",
    "conv3": "project_conv",
    "norm3": "project_bn",
    "conv": "top_conv",  # after the last block
    "norm": "top_bn",
}


def _keras(layer: str) -> str | None:
    """``learner-group2-block3-conv2`` → ``block2c_dwconv``."""
    if match := _BLOCK.fullmatch(layer):
        name = _LAYERS.get(match[3])
        number = f"block{match[1]}{chr(ord('a') + int(match[2]) - 1)}_"
        return name if name is None or name.startswith("top_") else f"{number}{name}"
    if layer in ("stem-conv", "stem-norm"):
        return "stem_conv" if layer == "stem-conv" else "stem_bn"
    return "predictions" if layer.startswith("task-") and layer.endswith("-logits") else None


# Their first layers standardise the image, which ours leave to the data.
KERAS = replace(
    by_name("keras.applications EfficientNet", _keras, head=("predictions",)),
    ignored=("/mean", "/variance", "/count"),
)
