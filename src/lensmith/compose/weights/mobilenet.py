"""Names of MobileNet's weights (Howard et al. 2017, Sandler et al. 2018, Howard et al. 2019) in keras.applications."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lensmith.compose.weights.names import by_block, by_order

_V1_STEM = {"stem-conv": "conv1", "stem-norm": "conv1_bn"}
_V2_STEM = {"stem-conv": "Conv1", "stem-norm": "bn_Conv1"}
_V3_STEM = {"stem-conv": "conv", "stem-norm": "conv_bn"}
_STEPS = {"1": "expand", "2": "depthwise", "3": "project"}
_SQUEEZE = {"reduce": "squeeze_excite_conv", "expand": "squeeze_excite_conv_1"}


def _outside(layer: str, stem: Mapping[str, str], head: Mapping[str, str]) -> str | None:
    return head.get(layer.rpartition("-")[2]) if layer.startswith("task-") else stem.get(layer)


def _v1(layer: str, block: int) -> str | None:
    """A block is ``conv_dw_1``, ``conv_dw_1_bn``, ``conv_pw_1``, ``conv_pw_1_bn``."""
    if block < 0:
        return _outside(layer, _V1_STEM, {"logits": "conv_preds"})
    match = re.fullmatch(r"(conv|norm)([12])", layer)
    return f"conv_{'dp'[match[2] == '2']}w_{block + 1}{'_bn' * (match[1] == 'norm')}" if match else None


def _v2(layer: str, block: int) -> str | None:
    """A block is ``block_1_expand``, ``block_1_expand_BN``, … ``_depthwise``, ``_project``; the first has no number."""
    if block < 0:
        return _outside(layer, _V2_STEM, {"logits": "predictions"})
    if layer in ("conv", "norm"):  # the convolution after the last block
        return "Conv_1" if layer == "conv" else "Conv_1_bn"
    match = re.fullmatch(r"(conv|norm)([123])", layer)
    prefix = f"block_{block}_" if block else "expanded_conv_"
    return f"{prefix}{_STEPS[match[2]]}{'_BN' * (match[1] == 'norm')}" if match else None


def _v3(layer: str, block: int) -> str | None:
    """A block is ``expanded_conv_1_expand``, ``…_expand_bn``, … with squeeze and excitation as 1×1 convolutions."""
    if block < 0:
        return _outside(layer, _V3_STEM, {"dense1": "conv_2", "logits": "logits"})
    if layer in ("conv", "norm"):
        return "conv_1" if layer == "conv" else "conv_1_bn"
    prefix = f"expanded_conv_{block}_" if block else "expanded_conv_"
    if layer in _SQUEEZE:
        return f"{prefix}{_SQUEEZE[layer]}"
    match = re.fullmatch(r"(conv|norm)([123])", layer)
    return f"{prefix}{_STEPS[match[2]]}{'_bn' * (match[1] == 'norm')}" if match else None


KERAS_V1 = by_block("keras.applications MobileNet V1", _v1, head=("conv_preds",))
KERAS_V2 = by_block("keras.applications MobileNet V2", _v2, head=("predictions", "Logits"))
KERAS_V3 = by_block("keras.applications MobileNet V3", _v3, head=("conv_2", "logits"))
# Files of earlier versions call the layers otherwise (Conv, expanded_conv/depthwise), in the same order: a chain.
KERAS_V3_IN_ORDER = by_order(
    "keras.applications MobileNet V3, in order", head=("(?i)conv_2", "(?i)logits"), order="file", per_kind=False
)
