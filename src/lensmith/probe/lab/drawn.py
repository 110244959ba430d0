"""The laboratory in pictures: what kernels answer, what pools keep, what stride, padding and dilation change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from lensmith.probe import drawing
from lensmith.probe.figure import Figure
from lensmith.probe.lab import vectorised
from lensmith.probe.lab.kernels import kernel
from lensmith.probe.lab.pictures import chessboard, step_image

SHOWN = ("horizontal-edges", "vertical-edges", "all-edges", "blur")
_CELL, _EDGE = 160, 2  # pixels: about the side of a tile, and the least there is around it
_MATTE = 200  # the gray around a tile, which tells white from paper


def filtered(image: ArrayLike, names: Sequence[str] = SHOWN) -> dict[str, np.ndarray]:
    """What classic kernels answer to an image.

    Args:
        image: ``(h, w)``.
        names: of :data:`~lensmith.probe.lab.KERNELS`.

    Returns:
        By name, ``(h - 2, w - 2)``.

    Raises:
        SettingError: there is no such kernel, or the image is too small.
        DataError: it is no image of one channel.

    Example:
        >>> {name: answer.shape for name, answer in filtered(chessboard(), ["blur"]).items()}
        {'blur': (158, 158)}
    """
    return {name: vectorised.convolve(image, kernel(name)) for name in names}


def pooled(image: ArrayLike, sizes: Sequence[int] = (4, 8)) -> dict[str, np.ndarray]:
    """An image after pools of several sizes, by their largest number and by their average.

    Args:
        image: ``(h, w)``.
        sizes: of the windows, which stand side by side.

    Returns:
        ``{"max 2": …, "average 2": …, …}``, each ``(h // size, w // size)``.

    Raises:
        SettingError: a window is larger than the image.
        DataError: it is no image.

    Example:
        >>> {name: values.tolist() for name, values in pooled(np.eye(2), [2]).items()}
        {'max 2': [[1.0]], 'average 2': [[0.5]]}
    """
    return {f"{kind} {size}": vectorised.pool(image, size, kind=kind) for size in sizes for kind in ("max", "average")}


def placed(image: ArrayLike, name: str = "vertical-edges") -> dict[str, np.ndarray]:
    """One kernel laid on an image in four ways.

    Args:
        image: ``(h, w)``.
        name: of :data:`~lensmith.probe.lab.KERNELS`.

    Returns:
        ``"valid"``, ``"same"`` (with a border of zeros), ``"stride 2"`` and ``"dilation 2"``.

    Raises:
        SettingError: there is no such kernel, or the image is too small: 5 pixels a side are needed.
        DataError: it is no image of one channel.

    Example:
        >>> {way: answer.shape for way, answer in placed(step_image()).items()}
        {'valid': (6, 6), 'same': (8, 8), 'stride 2': (3, 3), 'dilation 2': (4, 4)}
    """
    numbers = kernel(name)
    return {
        "valid": vectorised.convolve(image, numbers),
        "same": vectorised.convolve(image, numbers, padding="same"),
        "stride 2": vectorised.convolve(image, numbers, stride=2),
        "dilation 2": vectorised.convolve(image, numbers, dilation=2),
    }


def figures(image: ArrayLike | None = None) -> tuple[Figure, ...]:
    """Three pictures of the laboratory, with the arrays they were drawn from.

    Args:
        image: ``(h, w)``, of at least 10 pixels a side; left out, the chessboard.

    Returns:
        ``lab-kernels``: the image, and what kernels answer; ``lab-pooling``: its vertical edges, and what is left of
        them after pools; ``lab-places``: a step, and one kernel with padding, stride and dilation.

    Raises:
        SettingError: the image is too small.
        DataError: it is no image of one channel.

    Example:
        >>> [figure.name for figure in figures()]
        ['lab-kernels', 'lab-pooling', 'lab-places']
    """
    shown = chessboard() if image is None else image
    return kernels_figure(shown), pooling_figure(shown), places_figure()


def kernels_figure(image: ArrayLike) -> Figure:
    """An image, and what the kernels of :data:`SHOWN` answer; arguments and errors are those of :func:`filtered`."""
    answers = filtered(image)
    pixels = np.asarray(image)
    tiles = [drawing.gray(pixels)]
    tiles += [drawing.gray(answer) if name == "blur" else drawing.signed(answer) for name, answer in answers.items()]
    return Figure(
        "lab-kernels",
        "What classic kernels answer",
        _row(tiles, {"image": pixels, **answers}),
        {"image": pixels, **answers},
        {"shapes": _shapes(answers)},
        "Red is above zero, blue below, white zero: a kernel for edges is silent where the image is even.",
    )


def pooling_figure(image: ArrayLike) -> Figure:
    """The vertical edges of an image without their sign, and what pools keep; see :func:`figures`."""
    edges = np.abs(filtered(image, ["vertical-edges"])["vertical-edges"])
    results = pooled(edges)
    shown = {"vertical edges": edges, **results}
    return Figure(
        "lab-pooling",
        "Before and after pooling",
        _row([drawing.gray(values, 0, float(edges.max())) for values in shown.values()], shown, alike=False),
        {name.replace(" ", "-"): values for name, values in shown.items()},
        {"shapes": _shapes(results)},
        "The largest number keeps a thin line at its strength and widens it; the average lets it fade.",
    )


def places_figure() -> Figure:
    """The 8×8 step, and the kernel for vertical edges laid on it as in :func:`placed`."""
    image = step_image()
    results = placed(image)
    largest = max(float(np.abs(values).max()) for values in results.values())
    shown = {"image": image, **results}
    return Figure(
        "lab-places",
        "Padding, stride and dilation",
        _row([drawing.gray(image), *(drawing.signed(values, largest) for values in results.values())], shown),
        {name.replace(" ", "-"): values for name, values in shown.items()},
        {"shapes": _shapes(results)},
        "A border of zeros keeps the size, and is itself an edge where the image beside it is bright.",
    )


def _row(tiles: Sequence[np.ndarray], named: Mapping[str, np.ndarray], *, alike: bool = True) -> np.ndarray:
    """Pictures in one row on gray, each with its name and size; a pixel of each of them as large, or each as wide."""
    side = max(max(tile.shape[:2]) for tile in tiles)
    times = max(1, _CELL // side)
    canvas = side * times + 2 * _EDGE
    framed = [_framed(tile, times if alike else max(1, canvas // max(tile.shape[:2])), canvas) for tile in tiles]
    words = [f"{name}, {values.shape[0]}×{values.shape[1]}" for name, values in named.items()]
    return drawing.grid(framed, words, cell=min(canvas, 2 * _CELL), columns=len(tiles))


def _framed(picture: np.ndarray, times: int, canvas: int) -> np.ndarray:
    """Each pixel as a square of ``times`` pixels, in the middle of a gray square."""
    large = np.repeat(np.repeat(picture, times, axis=0), times, axis=1)
    above, left = ((canvas - length) // 2 for length in large.shape[:2])
    result = np.full((canvas, canvas, 3), _MATTE, np.uint8)
    result[above : above + large.shape[0], left : left + large.shape[1]] = large
    return result


def _shapes(arrays: Mapping[str, np.ndarray]) -> dict[str, list[int]]:
    return {name: list(values.shape) for name, values in arrays.items()}
