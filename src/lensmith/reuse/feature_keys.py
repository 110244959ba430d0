"""Names made of contents: of a model that computes, of an image it computes from."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL

from lensmith import __version__, check
from lensmith.backend import keras
from lensmith.compose import graph
from lensmith.data import Augment, Preprocessing
from lensmith.records import Record

# Of a layer's settings, what changes nothing in what it computes once it has its weights.
_IDLE = re.compile("name|trainable|seed|.*_(initializer|regularizer|constraint)")


def key_of(model: Any, preprocessing: Preprocessing) -> str:
    """A SHA-256 of all that decides what a model gives for an image: 32 letters and digits.

    That is its layers and how they are connected, its weights, the preprocessing, and what reads and computes: of a
    layer that is not Keras' or ours the code of its class, too. The names of layers do not matter.

    Args:
        model: made of connected layers.
        preprocessing: makes its input.
    """
    digest = hashlib.sha256()
    # Others may differ in the last bit, or more.
    readers = [__version__, cv2.__version__, PIL.__version__, keras.__version__, keras.config.backend()]
    _add(digest, ["features 1", readers, preprocessing.to_dict()])
    numbers: dict[int, int] = {}
    order: dict[int, int] = {}
    for tensor in keras.tree.flatten(model.input):
        numbers[id(tensor)] = len(numbers)
    by_depth = graph.connected(model)._nodes_by_depth
    for node in (node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]):
        if not node.is_input:
            first = order.setdefault(id(node.operation), len(order)) == len(order) - 1
            _add_call(digest, node, numbers, described=_described(node.operation) if first else {})
            for weight in getattr(node.operation, "weights", ()) if first else ():
                _add_array(digest, keras.ops.convert_to_numpy(weight))
            _add(digest, order[id(node.operation)])
        numbers |= {id(tensor): len(numbers) + i for i, tensor in enumerate(node.outputs) if id(tensor) not in numbers}
    _add(digest, [numbers[id(tensor)] for tensor in outputs_in_order(model).values()])
    return digest.hexdigest()[:32]


def outputs_in_order(model: Any) -> dict[str, Any]:
    """The outputs of a model by name, in its own order; one without a name is called ``features``."""
    return dict(model.output) if isinstance(model.output, dict) else {"features": model.output}


def content_of(record: Record) -> bytes:
    """A SHA-256 of an image's file or pixels, or of a row: 32 bytes.

    Raises:
        DataError: the file cannot be read.
    """
    if isinstance(record.image, Path):
        try:
            return hashlib.sha256(record.image.read_bytes()).digest()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise check.DataError(f"{record.source}: cannot be read: {reason}") from error
    digest = hashlib.sha256()
    _add_array(digest, np.asarray(record.image if record.row is None else record.row))
    return digest.digest()


def name_of(content: bytes, view: int, augment: Augment | None, seed: int) -> bytes:
    """The 32 bytes that name the row of an image in one of its views: 0 is the image as it is."""
    if view == 0 or augment is None:
        return content
    settings = json.dumps([view, seed, augment.to_dict()], sort_keys=True)
    return hashlib.sha256(content + settings.encode()).digest()


def _add_call(digest: Any, node: Any, numbers: Mapping[int, int], *, described: Mapping[str, Any]) -> None:
    def shown(value: Any) -> Any:
        return f"tensor {numbers[id(value)]}" if isinstance(value, keras.KerasTensor) else str(value)

    given = keras.tree.map_structure(shown, [list(node.arguments.args), node.arguments.kwargs])
    _add(digest, [type(node.operation).__name__, _code(type(node.operation)), dict(described), given])


def _code(kind: type) -> list[str]:
    """What a user's own class and those it is made from say, where it can be read."""
    found = []
    for one in kind.__mro__:
        if not one.__module__.startswith(("keras.", "lensmith.", "torch.", "tensorflow.", "builtins")):
            with contextlib.suppress(OSError, TypeError):  # it was typed in, and is in no file
                found.append(inspect.getsource(one))
    return found


def _described(operation: Any) -> dict[str, Any]:
    if isinstance(operation, keras.layers.Layer):
        config = operation.get_config()
        return {name: value for name, value in config.items() if not _IDLE.fullmatch(name)}
    settings = {name: value for name, value in vars(operation).items() if not name.startswith("_") and name != "name"}
    return {name: value for name, value in settings.items() if isinstance(value, int | float | str | tuple | list)}


def _add(digest: Any, values: Any) -> None:
    digest.update(json.dumps(values, sort_keys=True, default=str).encode() + b"\n")


def _add_array(digest: Any, array: np.ndarray) -> None:
    _add(digest, [str(array.dtype), list(array.shape)])
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
