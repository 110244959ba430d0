"""Names of NASNet's weights (Zoph et al. 2018) elsewhere."""

from __future__ import annotations

import re

from lensmith.compose.weights.names import NameMap, by_name

_CELL = re.compile(r"learner-group(\d)-block(\d+)-(.+)")
_SEPARABLE = re.compile(r"(left|right)(\d)-(\d)-(depthwise|pointwise|norm)")
_FITTED = {"conv": "adjust_conv_projection", "conv1": "adjust_conv_1", "conv2": "adjust_conv_2", "norm": "adjust_bn"}
_OWN = {"conv": "conv_1", "norm": "bn_1"}


def keras_map(cells: int) -> NameMap:
    """The names in ``keras.applications``, which count cells through: ``cells`` is how many normal ones a group has."""

    def layer(name: str) -> str | None:
        if match := _CELL.fullmatch(name):
            group, block = int(match[1]), int(match[2])
            return _in_cell(match[3], group != 3 and block == 1, _number(group, block, cells))
        if name in ("stem-1-conv", "stem-1-norm"):
            return "stem_conv1" if name.endswith("conv") else "stem_bn1"
        return "predictions" if name.startswith("task-") and name.endswith("-logits") else None

    return by_name(f"keras.applications NASNet with {cells} cells a group", layer, head=("predictions",))


def _number(group: int, block: int, cells: int) -> str:
    """What the cell's layers end in: ``stem_1``, ``0`` to ``3``, ``reduce_4``, ``5`` …"""
    if group < 3:
        return f"stem_{group}"
    if group > 3 and block == 1:
        return f"reduce_{(group - 3) * cells}"
    return str((group - 3) * cells + block - 1)


def _in_cell(name: str, reduction: bool, number: str) -> str | None:
    kind = "reduction" if reduction else "normal"
    if name.startswith("before-"):
        return f"{_FITTED[name.removeprefix('before-')]}_{number}"
    if match := _SEPARABLE.fullmatch(name):
        side, place, time, layer = match.groups()
        # The fifth sum of a reduction is called by the number four there.
        place = "4" if reduction and place == "5" else place
        return f"separable_conv_{time}{'_bn' * (layer == 'norm')}_{kind}_{side}{place}_{number}"
    return f"{kind}_{_OWN[name]}_{number}" if name in _OWN else None


KERAS_MOBILE = keras_map(4)
KERAS_LARGE = keras_map(6)
