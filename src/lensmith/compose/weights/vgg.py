"""Names of VGG's weights (Simonyan & Zisserman 2015) elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lensmith.compose.weights.names import Arrays, NameMap, Weight, by_name, by_order

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


def preparing(arrays: Arrays) -> str | None:
    """The first layer of a file of torch's layout where it is a 1×1 convolution of three channels to three."""
    first = next(iter(arrays), "")
    layer, _, weight = first.rpartition(".")
    return layer if weight == "weight" and arrays[first].shape == (3, 3, 1, 1) else None


def _prepared(weights: Sequence[Weight], arrays: Arrays) -> dict[str, str]:
    """As torchvision's, without layer 0: in a file that lacks it, the layer that reads the image comes first."""
    shape = arrays["2.weight"].shape if next(iter(arrays), "") == "2.weight" else ()
    return dict(TORCH.find(weights, arrays)) if shape[1:2] == (3,) else {}


# Encoders for style transfer (Li et al. 2017, Universal Style Transfer via Feature Transforms): the layers' numbers in
# a row, 0, 2, 5 …; 0 is a 1×1 convolution that prepares the image, which is left over where a head would be.
PREPARED = NameMap("VGG behind a layer that prepares the image", _prepared, "torch", (r"0", *TORCH.head))
