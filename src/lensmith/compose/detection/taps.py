"""The feature maps that a head may read, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import views

Tensor = Any


class Taps:
    """The feature maps of a backbone by tap, by layer or by part, found when they are asked for.

    Args:
        source: the model's input.
        x: what the learner gave: its last tensor, or several by name.
    """

    def __init__(self, source: Tensor, x: Tensor | Mapping[str, Tensor]) -> None:
        self.size = tuple(source.shape[1:3])
        self._named = dict(x) if isinstance(x, Mapping) else {}
        self._source, self._given = source, x
        self._model: Any = None
        self.last = list(self._named.values())[-1] if self._named else x

    def get(self, name: str, place: str) -> Tensor:
        """The feature maps ``(batch, height, width, channels)`` of this name.

        Args:
            name: a tap such as ``P4``, the name of a layer, or of a part, whose last layer is meant.
            place: what a refusal calls it.

        Raises:
            SettingError: there are none; lists the taps there are.
        """
        if name in self._named:
            return self._named[name]
        if self._model is None:  # made once for all taps of all heads
            self._model = keras.Model(self._source, self._given)
        found = views.tap_names(self._model)
        maps = [layer for layer in self._model.operations if len(layer.output.shape) == 4]
        wanted = found.get(name, name)
        layers = [layer for layer in maps if layer.name == wanted]
        layers = layers or [layer for layer in maps if layer.name.startswith(f"{name}-")]
        if layers:
            return layers[-1].output
        smaller = ", ".join(found) or "none"
        remedy = "Take another backbone or a larger image, or name other taps"
        raise check.SettingError(check.sentence(place, f"feature maps of the backbone ({smaller})", repr(name), remedy))
