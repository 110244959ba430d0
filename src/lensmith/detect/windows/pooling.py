"""Pools whose window leaves out rows and columns, as a dilated convolution's does; Keras has none."""

from __future__ import annotations

from typing import Any

from lensmith import check
from lensmith.backend import keras

Tensor = Any
KINDS = ("average", "max")


@keras.saving.register_keras_serializable("lensmith")
class DilatedPool(keras.layers.Layer):  # type: ignore[misc]
    """The largest or the mean of ``size`` positions that lie ``step`` apart, from every position on, without padding.

    Args:
        kind: ``average`` or ``max``.
        size: positions down and across.
        step: from one to the next, down and across.

    Shapes:
        ``(batch, height, width, channels)`` in; a side is ``(size - 1) · step`` shorter out.

    Raises:
        SettingError: a setting is wrong.
    """

    def __init__(self, kind: str, size: tuple[int, int], step: tuple[int, int], **options: Any) -> None:
        super().__init__(**options)
        self.kind = check.one_of("dilated-pool.kind", kind, KINDS)
        self.size = tuple(check.positive("dilated-pool.size", side) for side in size)
        self.step = tuple(check.positive("dilated-pool.step", side) for side in step)

    def call(self, inputs: Tensor) -> Tensor:
        x = inputs
        for axis, (size, step) in enumerate(zip(self.size, self.step, strict=True), start=1):
            # One axis after the other, which a maximum and a mean both allow: k + k passes instead of k · k.
            shifted = [_from(x, axis, place * step, (size - 1 - place) * step) for place in range(size)]
            x = shifted[0]
            for other in shifted[1:]:
                x = keras.ops.maximum(x, other) if self.kind == "max" else x + other
        return x if self.kind == "max" else x / (self.size[0] * self.size[1])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        sides = [
            None if side is None else side - (size - 1) * step
            for side, size, step in zip(input_shape[1:3], self.size, self.step, strict=True)
        ]
        return (input_shape[0], *sides, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind, "size": self.size, "step": self.step}


def _from(x: Tensor, axis: int, first: int, behind: int) -> Tensor:
    """The positions along an axis without the first ones and those behind."""
    kept = slice(first, -behind if behind else None)
    return x[:, kept] if axis == 1 else x[:, :, kept]
