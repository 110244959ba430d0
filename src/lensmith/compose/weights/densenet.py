"""Names of DenseNet's weights (Huang et al. 2017) elsewhere."""

from __future__ import annotations

import re

from lensmith.compose.weights.names import by_name

# Groups 1, 3, 5 and 7 are dense blocks, the others the transitions between them.
_LAYER = re.compile(r"learner-group(\d+)-block(\d+)-(conv|norm)(\d?)")
_KERAS_OTHERS = {"stem-conv": "conv1_conv", "stem-norm": "conv1_bn", "learner-norm": "bn"}
_TORCH_OTHERS = {"stem-conv": "features.conv0", "stem-norm": "features.norm0", "learner-norm": "features.norm5"}


def _parts(layer: str) -> tuple[int, int, str, int] | None:
    """The stage from 1 on, the layer in its dense block or 0 for the transition, the kind, and its number or 0."""
    match = _LAYER.fullmatch(layer)
    if match is None:
        return None
    group, block, kind, number = match.groups()
    return (int(group) + 1) // 2, int(block) if int(group) % 2 else 0, kind, int(number or 0)


def _keras(layer: str) -> str | None:
    """``learner-group3-block1-conv1`` → ``conv3_block1_1_conv``; a layer's first normalisation has the number 0."""
    if parts := _parts(layer):
        stage, block, kind, number = parts
        if not block:
            return f"pool{stage + 1}_{'bn' if kind == 'norm' else 'conv'}"
        return f"conv{stage + 1}_block{block}_" + (f"{number - 1}_bn" if kind == "norm" else f"{number}_conv")
    return "predictions" if layer.startswith("task-") else _KERAS_OTHERS.get(layer)


def _torchvision(layer: str) -> str | None:
    """``learner-group3-block1-conv1`` → ``features.denseblock2.denselayer1.conv1``."""
    return _torch(layer, "")


def _torchvision_files(layer: str) -> str | None:
    """The same, but ``conv.1`` for ``conv1``, from before torch forbade dots in names."""
    return _torch(layer, ".")


def _torch(layer: str, dot: str) -> str | None:
    if parts := _parts(layer):
        stage, block, kind, number = parts
        own = f"denseblock{stage}.denselayer{block}.{kind}{dot}{number}" if block else f"transition{stage}.{kind}"
        return f"features.{own}"
    return "classifier" if layer.startswith("task-") else _TORCH_OTHERS.get(layer)


KERAS = by_name("keras.applications DenseNet", _keras, head=("predictions", "fc1000"))
TORCHVISION = by_name("torchvision DenseNet", _torchvision, layout="torch", head=("classifier",))
TORCHVISION_FILES = by_name("published torchvision DenseNet", _torchvision_files, layout="torch", head=("classifier",))
