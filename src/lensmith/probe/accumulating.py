"""Moments and a histogram of numbers that come in pieces, of which none is kept.

What comes out is the same however the numbers are divided into pieces, and in whatever order these come: bins are as
wide as a power of two and begin at whole multiples of it, so that two neighbours make one bin of the next width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BINS = 64  # at most; more than half as many unless the numbers are nearly equal
_FINEST = 16  # bins are no narrower than 2^-16 of the largest number
_PIECE = 1 << 17  # numbers looked at at a time: 1 MiB, which a processor's cache holds


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How numbers are spread.

    Args:
        count: how many finite ones there are, and ``nonfinite`` the others (NaN, infinite), which nothing else counts.
        zeros: how many are exactly 0.
        mean: of the finite ones; NaN where there are none, and so for what follows.
        deviation: the square root of their mean squared distance from the mean.
        smallest: and ``largest``.
        norm: the square root of the sum of their squares.
        counts: int64 ``(bins,)``: how many lie in each bin.
        edges: float64 ``(bins + 1,)``: bin ``i`` holds what is at least ``edges[i]`` and less than ``edges[i + 1]``.
    """

    count: int
    nonfinite: int
    zeros: int
    mean: float
    deviation: float
    smallest: float
    largest: float
    norm: float
    counts: np.ndarray
    edges: np.ndarray

    @property
    def sparsity(self) -> float:
        """The share of exact zeros among all numbers; 0 where there are none."""
        return self.zeros / max(self.count + self.nonfinite, 1)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; what is not known is ``None``."""
        counts = {name: getattr(self, name) for name in ("count", "nonfinite", "zeros", "sparsity")}
        numbers = {name: getattr(self, name) for name in ("mean", "deviation", "smallest", "largest", "norm")}
        known = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        return counts | known | {"counts": self.counts.tolist(), "edges": self.edges.tolist()}


@dataclass(slots=True, eq=False)
class Accumulator:
    """What is known of the numbers so far; memory does not grow with them.

    >>> numbers = Accumulator()
    >>> for piece in ([0.0, 1.0], [2.0, float("nan")]):
    ...     numbers.add(np.array(piece))
    >>> found = numbers.spread()
    >>> found.count, found.nonfinite, found.mean, found.largest
    (3, 1, 1.0, 2.0)
    """

    count: int = 0
    nonfinite: int = 0
    zeros: int = 0
    mean: float = 0.0
    squares: float = 0.0  # the sum of squared distances from the mean
    smallest: float = math.inf
    largest: float = -math.inf
    exponent: int = 0  # of the bins' width
    first: int = 0  # which multiple of it the first bin begins at
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, "int64"))

    def add(self, values: np.ndarray) -> None:
        """Take numbers of any shape and floating type in."""
        for piece in _pieces(values):
            finite = np.isfinite(piece)
            if not finite.all():
                self.nonfinite += int(finite.size - np.count_nonzero(finite))
                piece = piece[finite]
            if piece.size:
                self._moments(piece)
                self._histogram(piece)

    def spread(self) -> Spread:
        """All that is known."""
        none = math.nan
        deviation = math.sqrt(self.squares / self.count) if self.count else none
        edges = np.ldexp(np.arange(self.first, self.first + len(self.counts) + 1, dtype="float64"), self.exponent)
        return Spread(
            count=self.count,
            nonfinite=self.nonfinite,
            zeros=self.zeros,
            mean=self.mean if self.count else none,
            deviation=deviation,
            smallest=self.smallest if self.count else none,
            largest=self.largest if self.count else none,
            norm=math.sqrt(self.squares + self.count * self.mean**2) if self.count else 0.0,
            counts=self.counts.copy(),
            edges=edges if self.largest or self.smallest else np.array([-0.5, 0.5]),  # of nothing but zeros
        )

    def _moments(self, piece: np.ndarray) -> None:
        """Chan, Golub & LeVeque 1979, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances."""
        count, mean = piece.size, float(piece.mean())
        distance, both = mean - self.mean, self.count + piece.size
        self.squares += float(np.square(piece - mean).sum()) + distance**2 * self.count * count / both
        self.mean += distance * count / both
        self.count = both
        self.zeros += int(count - np.count_nonzero(piece))
        self.smallest, self.largest = min(self.smallest, float(piece.min())), max(self.largest, float(piece.max()))

    def _histogram(self, piece: np.ndarray) -> None:
        exponent = _exponent(self.smallest, self.largest)
        first = _bin(self.smallest, exponent)
        counts = np.zeros(_bin(self.largest, exponent) - first + 1, "int64")
        if self.counts.size:  # the old bins, two and two together as often as their width has doubled
            places = (np.arange(self.first, self.first + len(self.counts)) >> exponent - self.exponent) - first
            np.add.at(counts, places, self.counts)
        places = np.floor(np.ldexp(piece, -exponent)).astype("int64") - first
        self.counts = counts + np.bincount(places, minlength=len(counts))
        self.first, self.exponent = first, exponent


def _pieces(values: np.ndarray) -> Iterator[np.ndarray]:
    flat = np.asarray(values).reshape(-1)
    for start in range(0, flat.size, _PIECE):
        yield flat[start : start + _PIECE].astype("float64")


def _exponent(smallest: float, largest: float) -> int:
    """Of the narrowest bins of which so few hold all from one number to the other; it never falls as these part."""
    finest = math.frexp(max(abs(smallest), abs(largest), 5e-324))[1] - _FINEST
    # Bins a quarter as wide as is needed if they began just anywhere: too many of them.
    exponent = max(math.frexp((largest - smallest) / BINS)[1] - 2, finest) if largest > smallest else finest
    while _bin(largest, exponent) - _bin(smallest, exponent) >= BINS:
        exponent += 1
    return exponent


def _bin(value: float, exponent: int) -> int:
    return math.floor(math.ldexp(value, -exponent))
