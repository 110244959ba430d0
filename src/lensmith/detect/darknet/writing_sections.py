"""A Darknet network under construction: sections one after the other, each on what the one before it gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lensmith import check
from lensmith.detect.darknet.writing_layers import OPEN, Array, Section
from lensmith.detect.darknet.writing_windows import Axis, Square, convolution, laid

Pads = tuple[tuple[int, int], tuple[int, int]]  # zeros above and below, left and right
NONE: Pads = ((0, 0), (0, 0))
POSITIVE = ("relu", "logistic")  # activations that give no number below 0
KEEPING = ("maxpool", "upsample", "avgpool")  # kinds that give no number below 0 where they get none
IMAGE = -1  # the place of the network's input


class Sections:
    """The sections so far; a place is the number of one of them.

    Args:
        shape: height, width and channels of the input.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.input = shape
        self.made: list[Section] = []

    @property
    def last(self) -> int:
        """The place that the next section reads without a route."""
        return len(self.made) - 1

    def shape(self, place: int) -> tuple[int, int, int]:
        """Height, width and channels at a place."""
        return self.input if place == IMAGE else self.made[place].shape

    def positive(self, place: int) -> bool:
        """Whether no number there is below 0."""
        return place != IMAGE and self.made[place].positive

    def may_fold(self, place: int) -> bool:
        """Whether the section is one that an affine map can be folded into."""
        return place != IMAGE and self.made[place].kind in OPEN and self.made[place].activation == "linear"

    def add(self, section: Section, place: int) -> int:
        """Lay a section on what a place gives; returns its own place."""
        self.turn_to(place)
        if section.kind in KEEPING:
            section.positive = self.positive(place)
        self.made.append(section)
        return self.last

    def turn_to(self, place: int) -> None:
        """Let the next section read this place."""
        if place != self.last:
            self.join([place], "")

    def join(self, places: Sequence[int], source: str) -> int:
        """The channels of several places beside each other."""
        height, width, _ = self.shape(places[0])
        shape = (height, width, sum(self.shape(place)[2] for place in places))
        layers = ",".join(str(place - len(self.made)) for place in places)
        positive = all(self.positive(place) for place in places)
        self.made.append(Section("route", source, shape, {"layers": layers}, positive=positive))
        return self.last

    def total(self, places: Sequence[int], source: str) -> int:
        """The sum of several places of one shape."""
        rest = list(places)
        first = self.last if self.last in rest else rest[0]
        rest.remove(first)
        self.turn_to(first)
        for place in rest:
            settings = {"from": place - len(self.made)}
            self.made.append(Section("shortcut", source, self.shape(place), settings, activation="linear"))
        return self.last

    def convolve(
        self,
        place: int,
        source: str,
        kernel: Array,
        bias: Array | None = None,
        *,
        groups: int = 1,
        stride: int = 1,
        dilation: tuple[int, int] = (1, 1),
        pads: Pads = NONE,
    ) -> int | None:
        """A convolution by ``kernel`` (out, in of a group, height, width); None where Darknet has no such one."""
        sizes, out = self.shape(place)[:2], kernel.shape[0]
        windows = [(taps - 1) * apart + 1 for taps, apart in zip(kernel.shape[2:], dilation, strict=True)]
        counts = [
            (size + sum(pad) - window) // stride + 1 for size, pad, window in zip(sizes, pads, windows, strict=True)
        ]
        square = convolution(
            [Axis(s, *pad, w, n) for s, pad, w, n in zip(sizes, pads, windows, counts, strict=True)], stride
        )
        if square is None:
            return None
        section = Section(
            "convolutional",
            source,
            (counts[0], counts[1], out),
            {"filters": out, "size": square.size, "stride": stride, **_padding(square)},
            laid(kernel, square, dilation),
            np.zeros(out, np.float32) if bias is None else bias,
            "linear",
        )
        section.settings |= {"groups": groups} if groups > 1 else {}
        return self.add(section, place)

    def scale(self, place: int, source: str, factor: Array, shift: Array, pads: Pads = NONE) -> int:
        """Each channel of a place times a factor, plus a shift, with zeros laid around the image before.

        Raises:
            SettingError: no square window lays these zeros; names the source.
        """
        channels = self.shape(place)[2]
        kernel = np.ones((channels, 1, 1, 1), np.float32)
        made = self.convolve(place, source, kernel, groups=channels, pads=pads)
        if made is None:
            expected = "as many zeros down as across, which Darknet's square windows can lay"
            got = f"{sum(pads[0])} rows and {sum(pads[1])} columns"
            raise check.SettingError(check.sentence(source, expected, got))
        self.made[made].fold(factor, shift)
        return made

    def copy(self, place: int, source: str, pads: Pads = NONE) -> int:
        """The same numbers again, with zeros around them: something that can be changed."""
        channels = self.shape(place)[2]
        return self.scale(place, source, np.ones(channels, np.float32), np.zeros(channels, np.float32), pads)


def _padding(square: Square) -> dict[str, int]:
    """``pad=1`` is Darknet's word for half of the window, which every reader knows."""
    return {"pad": 1} if square.padding == square.size // 2 else {"pad": 0, "padding": square.padding}
