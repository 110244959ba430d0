"""The sliding window: a network that knows whole pictures looks at one part of an image after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from lensmith import backend, check
from lensmith.data import Preprocessing
from lensmith.data.resampling import resize
from lensmith.detect.windows.grid import Sides, pair, starts, windows
from lensmith.detect.windows.slid import Slid

Progress = Callable[[int, int], None]


def slide(
    model: Any,
    image: np.ndarray,
    *,
    window: Sides | None = None,
    stride: Sides = 1,
    scales: Sequence[float] = (1.0,),
    background: int | None = None,
    preprocessing: Preprocessing | None = None,
    batch: int = 256,
    progress: Progress | None = None,
) -> Slid:
    """Ask the model about every window of an image.

    Args:
        model: one input ``(height, width, channels)`` and one output ``(batch, classes)``.
        image: ``(H, W, channels)``, 0..255.
        window: its sides in pixels; what it shows is brought to the size that the model takes. Left out, that size.
        stride: from one window to the next; see :func:`.windows` for the last row and column.
        scales: the pyramid: sizes to which the image is brought, as shares of its own. At 0.5 a window covers twice
            as much of the image.
        background: the class that says that there is no object, where there is one.
        preprocessing: how the model takes its pixels; left out, 0..1.
        batch: windows that the model is given at once.
        progress: called after each batch with how many windows are done and how many there are.

    Returns:
        Boxes in pixels of the image as it came, and the scores.

    Raises:
        SettingError: a setting is wrong, or the window does not fit into the image.
        DataError: the image is of another form.

    Example:
        >>> from lensmith.compose import zoo
        >>> found = slide(zoo.get("conv-digits").build(seed=0), np.zeros((140, 140, 1), np.uint8), stride=28)
        >>> found.boxes.shape, found.scores.shape, found.grids
        ((25, 4), (25, 10), ((5, 5),))
    """
    seen = preprocessing or Preprocessing(image=_input(model))
    sides = pair("window", window if window is not None else seen.shape[:2])  # type: ignore[arg-type]
    check.positive("batch", batch)
    pyramid = list(_pyramid(_checked(image, seen), scales))
    boxes = [windows(each.shape[:2], sides, stride) for each, _ in pyramid]
    total, done = sum(map(len, boxes)), 0
    scores = []
    for (each, _), places in zip(pyramid, boxes, strict=True):
        for start in range(0, len(places), batch):
            x = _cut(each, places[start : start + batch], seen)
            scores.append(_scored(model, x))
            done += len(x)
            if progress is not None:
                progress(done, total)
    return _slid(pyramid, boxes, np.concatenate(scores), [sides] * len(boxes), stride, background)


def scan(
    model: Any,
    image: np.ndarray,
    *,
    stride: Sides = 1,
    scales: Sequence[float] = (1.0,),
    background: int | None = None,
    preprocessing: Preprocessing | None = None,
) -> Slid:
    """The same in one pass over the image: what :func:`slide` gives, up to rounding.

    Args:
        model: the convolutional form of one for windows; see :func:`.convolutional`.
        image, stride, scales, background, preprocessing: as for :func:`slide`; the window is the model's own.

    Raises:
        SettingError: a setting is wrong, or the window does not fit into the image.
        DataError: the image is of another form.

    Example:
        >>> from lensmith.compose import zoo
        >>> from lensmith.detect.windows.convolutional import convolutional
        >>> everywhere = convolutional(zoo.get("conv-digits").build(seed=0))
        >>> scan(everywhere, np.zeros((40, 30, 1), np.uint8)).map(3).shape
        (13, 3)
    """
    sides = _window_of(model)
    seen = preprocessing or Preprocessing(image=(*sides, model.input.shape[-1]))
    pyramid = list(_pyramid(_checked(image, seen), scales))
    boxes = [windows(each.shape[:2], sides, stride) for each, _ in pyramid]
    scores = []
    for each, _ in pyramid:
        rows, columns = starts(each.shape[:2], sides, stride)
        found = _scored(model, seen.scale(each)[None])[0]
        scores.append(found[np.ix_(rows, columns)].reshape(-1, found.shape[-1]))
    return _slid(pyramid, boxes, np.concatenate(scores), [sides] * len(boxes), stride, background)


def _slid(
    pyramid: Sequence[tuple[np.ndarray, np.ndarray]],
    boxes: Sequence[np.ndarray],
    scores: np.ndarray,
    sides: Sequence[tuple[int, int]],
    stride: Sides,
    background: int | None,
) -> Slid:
    shapes = [starts(each.shape[:2], side, stride) for (each, _), side in zip(pyramid, sides, strict=True)]
    grids = tuple((len(rows), len(columns)) for rows, columns in shapes)
    own = [places / ratio for places, (_, ratio) in zip(boxes, pyramid, strict=True)]
    return Slid(np.concatenate(own).astype(np.float32), scores.astype(np.float32), grids, background)


def _input(model: Any) -> tuple[int, int, int]:
    shape = tuple(model.inputs[0].shape[1:])
    if len(model.inputs) != 1 or len(shape) != 3 or None in shape:
        expected = "one input of height, width and channels"
        raise check.SettingError(check.sentence("model", expected, f"{len(model.inputs)}, the first of shape {shape}"))
    return shape


def _window_of(model: Any) -> tuple[int, int]:
    """The sides of the window, by how much smaller the scores are than the image."""
    probe = 4096
    shape = tuple(model.input.shape)
    if len(shape) != 4 or shape[1:3] != (None, None):
        remedy = "Make it one: convolutional(model)"
        raise check.SettingError(check.sentence("model", "a convolutional form", f"an input of shape {shape}", remedy))
    rows, columns = model.compute_output_shape((1, probe, probe, shape[-1]))[1:3]
    return probe - rows + 1, probe - columns + 1


def _checked(image: np.ndarray, seen: Preprocessing) -> np.ndarray:
    pixels = np.asarray(image)
    if seen.image is None or pixels.ndim != 3 or pixels.shape[-1] != seen.shape[-1] or pixels.dtype.kind not in "uif":
        expected = f"pixels of shape (height, width, {seen.shape[-1]})"
        raise check.DataError(check.sentence("image", expected, f"{pixels.dtype} of shape {pixels.shape}"))
    return pixels.astype(np.float32)


def _pyramid(image: np.ndarray, scales: Sequence[float]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The image at each scale, and how much larger it is than the image, as x, y, x, y."""
    if not len(scales):
        raise check.SettingError(check.sentence("scales", "at least one", "none"))
    height, width = image.shape[:2]
    for scale in scales:
        check.between("scales", scale, 0.01, 100)
        size = max(1, round(height * scale)), max(1, round(width * scale))
        ratio = np.array([size[1] / width, size[0] / height] * 2)
        yield (image if size == (height, width) else resize(image, size)), ratio


def _cut(image: np.ndarray, places: np.ndarray, seen: Preprocessing) -> np.ndarray:
    size = seen.shape[:2]
    cut = [image[y1:y2, x1:x2] for x1, y1, x2, y2 in places.astype(int)]
    return seen.scale(np.stack([each if each.shape[:2] == size else resize(each, (size[0], size[1])) for each in cut]))


def _scored(model: Any, x: np.ndarray) -> np.ndarray:
    found = backend.predict(model, x)
    if not hasattr(found, "shape"):
        expected = "a model with one output"
        raise check.SettingError(check.sentence("model", expected, "several", "Take that of one task"))
    return np.asarray(found)
