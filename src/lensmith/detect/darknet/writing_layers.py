"""The sections of a Darknet network that is being written, and the two files they become."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
VERSION = (0, 2, 5)  # of the files that Darknet itself writes
OPEN = ("convolutional", "connected")  # kinds whose result an affine map can still be folded into


@dataclass(slots=True)
class Section:
    """One section; what follows it may still be folded into it.

    Args:
        kind: such as ``convolutional``.
        source: the layer of ours that it comes from.
        shape: height, width and channels of what it gives.
        settings: the lines, without the activation.
        kernel: of a convolution ``(out, in of a group, side, side)``, of a connected layer ``(out, in)``.
        bias: ``(out,)``.
        activation: None where the kind has none.
        positive: whether it gives no number below 0.
    """

    kind: str
    source: str
    shape: tuple[int, int, int]
    settings: dict[str, Any] = field(default_factory=dict)
    kernel: Array | None = None
    bias: Array | None = None
    activation: str | None = None
    positive: bool = False

    def fold(self, factor: Array, shift: Array) -> None:
        """Let it give ``factor · x + shift``, one of each a channel."""
        if self.kernel is not None and self.bias is not None:
            self.kernel = self.kernel * factor.reshape(-1, *[1] * (self.kernel.ndim - 1))
            self.bias = self.bias * factor + shift

    def text(self) -> str:
        """As it stands in the ``.cfg``."""
        lines = [f"# {self.source}"] if self.source else []
        settings = self.settings | ({} if self.activation is None else {"activation": self.activation})
        return "\n".join([*lines, f"[{self.kind}]", *(f"{key}={value}" for key, value in settings.items())])


def cfg_text(shape: Sequence[int], sections: Iterable[Section]) -> str:
    """The ``.cfg`` of a network for images of ``(height, width, channels)``."""
    height, width, channels = shape
    net = f"[net]\nbatch=1\nsubdivisions=1\nheight={height}\nwidth={width}\nchannels={channels}"
    return "\n\n".join([net, *(section.text() for section in sections)]) + "\n"


def weights_bytes(sections: Iterable[Section]) -> bytes:
    """The ``.weights``: the header of version 0.2.5, then of each layer its biases and its kernel, in float32."""
    arrays = [array for section in sections for array in (section.bias, section.kernel) if array is not None]
    numbers = (np.ascontiguousarray(array, "<f4").tobytes() for array in arrays)
    return struct.pack("<iiiq", *VERSION, 0) + b"".join(numbers)
