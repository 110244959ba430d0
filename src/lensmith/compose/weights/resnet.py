"""Names of ResNet's weights (He et al. 2016a, 2016b) elsewhere."""

from __future__ import annotations

import re

from lensmith.compose.weights.names import by_name

_BLOCK = re.compile(r"learner-group(\d+)-block(\d+)-(shortcut-)?(conv|norm)(\d?)")
_LOGITS = re.compile(r"task-[A-Za-z0-9_]+-logits")


def _keras(layer: str) -> str | None:
    """``learner-group2-block1-conv1`` → ``conv3_block1_1_conv``; the shortcut's number is 0."""
    if match := _BLOCK.fullmatch(layer):
        group, block, shortcut, kind, number = match.groups()
        kind = "bn" if kind == "norm" else "conv"
        return f"conv{int(group) + 1}_block{block}_{0 if shortcut else number}_{kind}"
    if layer in ("stem-conv", "stem-norm"):
        return "conv1_conv" if layer == "stem-conv" else "conv1_bn"
    return "predictions" if _LOGITS.fullmatch(layer) else None


def _keras_v2(layer: str) -> str | None:
    """As in version 1, but a block's first normalisation is ``preact_bn``, and number 1 follows its convolution 1."""
    if match := re.fullmatch(r"learner-group(\d+)-block(\d+)-norm(\d)", layer):
        group, block, number = (int(part) for part in match.groups())
        return f"conv{group + 1}_block{block}_{'preact' if number == 1 else number - 1}_bn"
    return "post_bn" if layer == "learner-norm" else _keras(layer)


def _torch(layer: str, *, shortcut: str, last: str) -> str | None:
    """``learner-group2-block1-conv1`` → ``layer2.0.conv1``."""
    if match := _BLOCK.fullmatch(layer):
        group, block, in_shortcut, kind, number = match.groups()
        own = f"{shortcut}.{'01'[kind == 'norm']}" if in_shortcut else f"{'bn' if kind == 'norm' else 'conv'}{number}"
        return f"layer{group}.{int(block) - 1}.{own}"
    if layer in ("stem-conv", "stem-norm"):
        return "conv1" if layer == "stem-conv" else "bn1"
    return last if _LOGITS.fullmatch(layer) else None


def _torchvision(layer: str) -> str | None:
    return _torch(layer, shortcut="downsample", last="fc")


def _cifar(layer: str) -> str | None:
    return _torch(layer, shortcut="shortcut", last="linear")


KERAS = by_name("keras.applications ResNet", _keras, head=("predictions", "probs", "fc1000"))
KERAS_V2 = by_name("keras.applications ResNet V2", _keras_v2, head=("predictions", "probs"))
TORCHVISION = by_name("torchvision ResNet", _torchvision, layout="torch", head=("fc",))
CIFAR = by_name("CIFAR ResNet for PyTorch", _cifar, layout="torch", head=("linear", "fc"))
