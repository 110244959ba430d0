"""A network that looks at one window, as one that looks at all windows of an image in a single pass.

What neighbouring windows have in common is computed once (Sermanet et al. 2014, OverFeat, section 3.5). Dense layers
become convolutions as large as the maps they were given. A stride would leave out windows; so every layer works at
each position, and the windows of those behind a stride of 2 are dilated by 2: the algorithme à trous (Giusti et al.
2013, Fast Image Scanning with Deep Max-Pooling Convolutional Neural Networks; Chen et al. 2015, DeepLab, section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import graph
from lensmith.detect.windows.rules import Maps, after


def convolutional(model: Any, *, approximate: bool = False) -> Any:
    """The model that gives the scores of every window of an image at once, at stride 1.

    The scores at row ``y`` and column ``x`` are those that ``model`` gives for the window whose upper left corner
    is there: equal to the loop's up to rounding. The weights are copies, as they are now.

    It takes convolutions (also depthwise, separable, grouped, dilated and with strides), pools, dense layers,
    global pools, normalisation, activations, and branches that are added or joined. It takes no layer that adds zeros
    beside a window's maps: a window by itself would see zeros at its edge, where in an image it sees its neighbours.

    Args:
        model: one input ``(height, width, channels)``, the window, and one output ``(batch, classes)``.
        approximate: whether to take padded layers all the same. The scores are then those of a network that sees
            beyond the window's edge, and differ wherever that is not dark.

    Returns:
        A ``keras.Model`` from ``(batch, H, W, channels)`` to ``(batch, H - height + 1, W - width + 1, classes)``, for
        images of any size not smaller than the window.

    Raises:
        SettingError: a layer cannot be taken, which is named; the model has several inputs or outputs.

    Example:
        >>> from lensmith.compose import zoo
        >>> everywhere = convolutional(zoo.get("conv-digits").build(seed=0))
        >>> tuple(everywhere(keras.ops.zeros((1, 40, 30, 1))).shape[1:])
        (13, 3, 10)
    """
    flat = graph.flat(model)
    source, end = _only("input", flat.inputs), _only("output", graph.outputs_of(flat))
    if len(source.shape) != 4 or None in source.shape[1:]:
        expected = "an input of height, width and channels"
        raise check.SettingError(check.sentence("convolutional", expected, f"shape {source.shape[1:]}"))
    height, width, channels = source.shape[1:]
    image = keras.Input((None, None, channels), dtype=source.dtype, name="image")
    known = {id(source): Maps(image, (height, width), (1, 1))}
    needed = {id(tensor) for call in graph.leading_to([end], graph.calls(flat)) for tensor in call.outputs}
    by_depth = flat._nodes_by_depth
    for node in (node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]):
        if not node.is_input and any(id(tensor) in needed for tensor in node.outputs):
            known[id(node.outputs[0])] = after(node, known, approximate=approximate)
    found = known[id(end)]
    if found.sides != (1, 1):
        got = f"a map of {found.sides[0]}×{found.sides[1]}"
        raise check.SettingError(check.sentence("convolutional", "a model with one answer for a window", got))
    try:
        return keras.Model(image, found.tensor, name="convolutional")
    except ValueError as error:  # a layer that was called twice would be two of one name
        raise check.SettingError(f"convolutional: {check.reason(error)}") from None


def _only(what: str, tensors: Sequence[Any]) -> Any:
    if len(tensors) != 1:
        remedy = "Take the one task: compose.with_head, or keras.Model(model.input, model.output[task])"
        raise check.SettingError(check.sentence("convolutional", f"a model with one {what}", f"{len(tensors)}", remedy))
    return tensors[0]
