"""Names of VGG's weights (Simonyan & Zisserman 2015) elsewhere."""

from __future__ import annotations

import re

from lensmith.compose.weights.names import by_name, by_order

_CONV = re.compile(r"learner-group(\d+)-block(\d+)-conv")
_HEAD = {"dense1": "fc1", "dense2": "fc2", "logits": "predictions"}


def _keras(layer: str) -> str | None:
    """``learner-group2-block1-conv`` → ``block2_conv1``; the head is fc1, fc2 and predictions."""
    if match := _CONV.fullmatch(layer):
        return f"block{match[1]}_conv{match[2]}"
    return _HEAD.get(layer.rpartition("-")[2]) if layer.startswith("task-") else None


KERAS = by_name("keras.applications VGG", _keras, head=("fc1", "fc2", "predictions"))
# features.0, features.2 …, classifier.0, .3 and .6; the numbers count the layers without weights too.
TORCH = by_order("torchvision VGG", layout="torch", head=(r"classifier\.\d+",))
