"""Taps: feature maps as further outputs of a model, for losses that read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import graph, views

_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def with_taps(model: Any, taps: Mapping[str, str], *, task: str = "label") -> Any:
    """The model with feature maps as outputs of their own beside those of its tasks.

    Args:
        model: any model made of connected layers; to train it, its :func:`lensmith.compose.logits`.
        taps: for each new output, by its name, where it comes from: a tap such as ``P3`` (see
            :func:`lensmith.compose.tap_names`) or the name of a layer; of a layer called several times, its last call.
        task: what the output of a model with a single one is called.

    Returns:
        A ``keras.Model`` whose output is a dict by task and then by tap, of shape ``(batch, height, width, channels)``
        for feature maps. It shares all layers with the model: training one trains the other.

    Raises:
        SettingError: there is no such tap or layer; a name is that of a task, or not of letters, digits, ``_ . -``; or
            the model is not made of connected layers.

    Example:
        >>> from lensmith.compose import logits, zoo
        >>> model = logits(zoo.get("compact").build(seed=0))
        >>> {name: tuple(tensor.shape) for name, tensor in with_taps(model, {"P2": "P2"}).output.items()}
        {'label': (None, 10), 'P2': (None, 16, 16, 128)}
    """
    model = graph.flat(model)
    outputs = dict(model.output) if isinstance(model.output, Mapping) else {task: _only(model)}
    found = {call.layer.name: call.outputs[0] for call in graph.calls(model)}
    known = views.tap_names(model)
    for name, source in taps.items():
        if name in outputs or not _NAME.fullmatch(name):
            expected = "a name of letters, digits, '_', '.' and '-' that no task has"
            raise check.SettingError(check.sentence("taps", expected, repr(name)))
        layer = known.get(source, source)
        if layer not in found:
            raise check.SettingError(_unknown(name, source, known, found))
        # A layer of its own gives each output a name that no other output has.
        outputs[name] = keras.layers.Identity(name=f"tap-{name}")(found[layer])
    return keras.Model(model.input, outputs, name="tapped")


def _only(model: Any) -> Any:
    outputs = graph.outputs_of(model)
    if len(outputs) != 1:
        expected = "one output, or a dict of them by task"
        raise check.SettingError(check.sentence("taps", expected, f"{len(outputs)} outputs"))
    return outputs[0]


def _unknown(name: str, source: str, known: Mapping[str, str], layers: Mapping[str, Any]) -> str:
    listed = f"one of {', '.join(known)}, or the name of a layer" if known else "the name of a layer"
    place = f"taps.{name}" if name != source else "taps"
    return check.sentence(place, listed, repr(source), check.nearest(source, [*known, *layers]))
