"""Keras' layers by their names, in the fastest form that the backend in use has.

    from lensmith.backend import layers

    layers.Conv2D(64, 3, padding="same")(x)

On torch some of them call torch's own operation on the channels-last tensor as it is, see :mod:`.native`; all others,
and every layer on JAX and TensorFlow, are Keras' own. Arguments, weights, names, outputs and what is saved are Keras'.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from lensmith.backend import load


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # what Python asks of any module must not import Keras
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    keras = load()
    found = _native().get(name) if keras.config.backend() == "torch" else None
    return getattr(keras.layers, name) if found is None else found


@cache
def _native() -> dict[str, Any]:
    from lensmith.backend import native

    return native.layers()
