"""The jigsaw: a picture cut into 4 or 9 tiles, which are put together again in another arrangement.

Which arrangement it was is what a network learns to tell: it must know what belongs beside what. That the answer cannot
be read off the edges, where what was cut through would go on, each tile is smaller than its cell and lies somewhere in
it by chance.

References:
    Noroozi and Favaro, "Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles", 2016, section 3:
    tiles of 64 pixels out of cells of 75, and permutations that are far apart by Hamming distance.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from lensmith import check

SIDES = {4: 2, 9: 3}  # tiles a side
USUAL = {4: 24, 9: 64}  # arrangements
MOST = {4: 24, 9: 72}
_GAP = 11 / 75  # of a cell, that its tile leaves free
_LEAST = 2  # pixels a side of a cell


@dataclass(frozen=True, slots=True)
class Jigsaw:
    """Tell in which of so many arrangements the tiles of a picture were put together.

    Args:
        tiles: 4 (2 × 2) or 9 (3 × 3).
        arrangements: how many; left out, all 24 of 4 tiles and 64 of 9. At most 72 of 9 tiles: among so many any
            two differ in 8 places, and there are no more of which this is so.

    Raises:
        SettingError: a number is not among these.

    Example:
        >>> Jigsaw(9).answers, far_apart(4, 3)
        (64, ((0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1)))
    """

    tiles: Literal[4, 9] = 4
    arrangements: int | None = None

    def __post_init__(self) -> None:
        check.one_of("jigsaw.tiles", self.tiles, SIDES)
        if self.arrangements is not None:
            check.positive("jigsaw.arrangements", self.arrangements)
            check.between("jigsaw.arrangements", self.arrangements, 2, MOST[self.tiles])

    @property
    def answers(self) -> int:
        """How many arrangements there are."""
        return USUAL[self.tiles] if self.arrangements is None else self.arrangements

    @property
    def cells(self) -> int:
        """Tiles a side: what stands where matters to this task."""
        return SIDES[self.tiles]

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuse pictures in which a tile would be less than two pixels.

        Raises:
            SettingError: height or width is too small.
        """
        if min(size) < _LEAST * self.cells:
            expected = f"pictures of at least {_LEAST * self.cells} pixels a side for {self.tiles} tiles"
            raise check.SettingError(check.sentence("jigsaw", expected, f"{size[0]}×{size[1]}"))

    def change(self, x: np.ndarray, answers: np.ndarray, chances: Sequence[np.random.Generator]) -> np.ndarray:
        """Shuffle the tiles of each picture.

        Args:
            x: pictures of shape ``(n, h, w, c)``, any dtype.
            answers: whole numbers ``(n,)``: the arrangement of each.
            chances: one source of chance a picture, which says where in its cell each tile lies.

        Returns:
            An array of the same shape and dtype; see :func:`assembled`.
        """
        orders = far_apart(self.tiles, self.answers)
        gaps = tuple(gap(size // self.cells) for size in x.shape[1:3])
        changed = np.empty_like(x)
        for place, (picture, answer, chance) in enumerate(zip(x, answers.tolist(), chances, strict=True)):
            shifts = chance.integers(0, np.asarray(gaps) + 1, (self.tiles, 2))
            changed[place] = assembled(cut(picture, self.cells, gaps, shifts), orders[answer], x.shape[1:3])
        return changed

    def to_dict(self) -> dict[str, Any]:
        """The task as plain values."""
        return {"task": "jigsaw", "tiles": self.tiles, "arrangements": self.answers}


def gap(cell: int) -> int:
    """Pixels by which a tile is smaller than its cell: 11 of 75, as in the paper, and at least one of three and more.

    >>> [gap(cell) for cell in (2, 4, 16, 75)]
    [0, 1, 2, 11]
    """
    return 0 if cell <= _LEAST else max(round(cell * _GAP), 1)


def cut(
    picture: np.ndarray, cells: int, gaps: tuple[int, ...] = (0, 0), shifts: np.ndarray | None = None
) -> np.ndarray:
    """Tiles of equal size, in reading order.

    Of a size that does not divide, what remains is left off at the edges. Each tile is as much smaller than its cell
    as ``gaps`` say, and stands in it where ``shifts`` say.

    Args:
        picture: ``(h, w, c)``.
        cells: tiles a side.
        gaps: pixels down and across.
        shifts: pixels down and across of each tile, ``(cells², 2)``, from 0 to the gap; left out, 0.

    Returns:
        An array of shape ``(cells², height, width, c)``.

    Example:
        >>> cut(np.arange(25).reshape(5, 5, 1), 2)[1, ..., 0]
        array([[2, 3],
               [7, 8]])
    """
    height, width = (size // cells for size in picture.shape[:2])
    top, left = (size % cells // 2 for size in picture.shape[:2])
    moved = np.zeros((cells**2, 2), int) if shifts is None else shifts
    tiles = np.empty((cells**2, height - gaps[0], width - gaps[1], picture.shape[2]), picture.dtype)
    for number, (down, right) in enumerate(moved.tolist()):
        row, column = divmod(number, cells)
        y, x = top + row * height + down, left + column * width + right
        tiles[number] = picture[y : y + tiles.shape[1], x : x + tiles.shape[2]]
    return tiles


def assembled(tiles: np.ndarray, order: Sequence[int], size: tuple[int, ...]) -> np.ndarray:
    """Tiles put together, the tile ``order[i]`` at place ``i``, in the middle of a picture of this size.

    What they do not fill is filled with the pixels at their edges.

    Args:
        tiles: ``(cells², height, width, c)``.
        order: the number of the tile at each place, in reading order.
        size: height and width of the picture, at least those of all the tiles together.
    """
    cells = round(len(tiles) ** 0.5)
    height, width, channels = tiles.shape[1:]
    grid = tiles[list(order)].reshape(cells, cells, height, width, channels)
    whole = grid.swapaxes(1, 2).reshape(cells * height, cells * width, channels)
    return padded(whole, size)


def padded(picture: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """The picture in the middle of one of this size, whose other pixels repeat its edges.

    >>> padded(np.array([[[1], [2]]]), (1, 5))[..., 0]
    array([[1, 1, 2, 2, 2]])
    """
    spare = [wanted - have for wanted, have in zip(size, picture.shape[:2], strict=True)]
    return np.pad(picture, (*((one // 2, one - one // 2) for one in spare), (0, 0)), mode="edge")


@lru_cache
def far_apart(tiles: int, count: int) -> tuple[tuple[int, ...], ...]:
    """So many arrangements of 4 or 9 tiles, the picture itself first, any two of them in as many places as can be.

    Each is the one that is farthest from those chosen before it: from the nearest of them, then from all together,
    the first in the order of the numbers among equals (after the paper's algorithm 1).
    """
    candidates = np.array(sorted(itertools.permutations(range(4)) if tiles == 4 else _affine()))
    chosen = [0]
    nearest, total = np.full(len(candidates), tiles + 1), np.zeros(len(candidates), int)
    while len(chosen) < count:
        distances = (candidates != candidates[chosen[-1]]).sum(axis=1)
        nearest, total = np.minimum(nearest, distances), total + distances
        chosen.append(int(np.argmax(nearest * (total.max() + 1) + total)))
    return tuple(tuple(int(tile) for tile in candidates[place]) for place in chosen)


def _affine() -> list[tuple[int, ...]]:
    """The 72 maps x → a·x + b, a not 0, of the nine numbers p + q·i (i² = −1) modulo 3.

    Two of them agree in one number at most, as two straight lines do.
    """
    numbers = [complex(real, imaginary) for real in range(3) for imaginary in range(3)]

    def place(number: complex) -> int:
        return int(number.real) % 3 * 3 + int(number.imag) % 3

    return [tuple(place(a * x + b) for x in numbers) for a in numbers[1:] for b in numbers]
