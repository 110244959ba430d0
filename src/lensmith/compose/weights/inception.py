"""Names of the weights of Inception V3, Inception-ResNet V2 and Xception elsewhere."""

from __future__ import annotations

import re

from lensmith.compose.weights.names import NameMap, by_order

_RESTORE = re.compile(r"learner-group(\d)-block(\d+)-restore-conv")
_RESIDUAL = {"1": "block35_{}_conv", "3": "block17_{}_conv", "5": "block8_{}_conv", "6": "block8_10_conv"}
_SEPARABLE = re.compile(r"learner-group(\d)-block(\d+)(?:-(\d))?-(depthwise|pointwise|norm)")
_CLOSING = {"learner-group7-block1-conv": "conv_7b", "learner-group7-block1-norm": "conv_7b_bn"}
_XCEPTION_STEM = re.compile(r"stem-(\d)-(conv|norm)")


def _head(layer: str) -> str | None:
    return "predictions" if layer.startswith("task-") and layer.endswith("-logits") else None


def _inception_resnet(layer: str) -> str | None:
    """``learner-group3-block7-restore-conv`` → ``block17_7_conv``; most layers have no name of their own."""
    if match := _RESTORE.fullmatch(layer):
        group, block = match.groups()
        return _RESIDUAL[group].format(block) if group in _RESIDUAL else None
    return _CLOSING.get(layer) or _head(layer)


def _xception(layer: str) -> str | None:
    """``learner-group3-block2-1-norm`` → ``block5_sepconv1_bn``; the shortcuts have no names of their own."""
    if match := _XCEPTION_STEM.fullmatch(layer):
        return f"block1_conv{match[1]}" + "_bn" * (match[2] == "norm")
    if not (match := _SEPARABLE.fullmatch(layer)):
        return _head(layer)
    group, block, number = int(match[1]), int(match[2]), match[3]
    # Modules are counted through: 2, 3, then 4 to 12 in group 3; the exit's last two convolutions are one, 14.
    place, number = (group + block, number) if group < 4 else (13, number) if number else (14, str(block - 1))
    return f"block{place}_sepconv{number}" + "_bn" * (match[4] == "norm")


KERAS_V3: NameMap = by_order("keras.applications Inception V3", head=("predictions",), named=_head)
KERAS_RESNET: NameMap = by_order(
    "keras.applications Inception-ResNet V2", head=("predictions",), named=_inception_resnet
)
KERAS_XCEPTION: NameMap = by_order("keras.applications Xception", head=("predictions",), named=_xception)
