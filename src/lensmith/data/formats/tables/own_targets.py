"""Targets as they are written in the JSON form of our own → targets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import check
from lensmith.data.formats.numbers import TOO_LARGE
from lensmith.data.formats.tables.images import ImageFolders
from lensmith.data.formats.tables.json_text import list_in, numbers_in, object_in
from lensmith.data.formats.tables.names import MARKS
from lensmith.records import Boxes, Labels, Target


def target_in(value: Any, place: str, labels: Labels, images: ImageFolders) -> Target:
    """What is written of a target → the target.

    Args:
        value: what is written.
        place: what to call it in a message.
        labels: of its task.
        images: where the paths of masks may start from.

    Raises:
        DataError: it is not what the kind of its labels says.
        SettingError: a class that the labels do not have; names the nearest.
    """
    if labels.kind == "class":
        return _index(value, place, labels)
    if labels.kind == "classes":
        return tuple(_index(one, place, labels) for one in list_in(value, place))
    if labels.kind == "number":
        return tuple(float(one) for one in _sized(array_in(value, place, 1, np.float64), place, labels))
    if labels.kind == "points":
        return _sized(_points(value, place), place, labels)
    if labels.kind == "mask":
        return path_in(value, place, images)
    return _boxes(object_in(value, place), place, labels)


def array_in(value: object, place: str, axes: int, dtype: type[np.floating] = np.float32) -> np.ndarray:
    """Numbers that are written as a list (one axis), or as a list of lists of the same length (two).

    Raises:
        DataError: they are not that, or float32 does not hold them.
    """
    array = numbers_in(list_in(value, place), place)
    if array.shape == (0,) and axes == 2:
        array = array.reshape(0, 2)
    if array.ndim != axes:
        expected = "a list of numbers" if axes == 1 else "a list of lists of numbers"
        raise check.DataError(check.sentence(place, expected, f"shape {array.shape}"))
    if dtype == np.float32 and (np.abs(array.astype(np.float64)) >= TOO_LARGE).any():
        raise check.DataError(check.sentence(place, "numbers that float32 holds", "a larger one"))
    return array.astype(dtype)


def path_in(value: object, place: str, images: ImageFolders) -> Path:
    """The file that a written path leads to.

    Raises:
        DataError: it is no text, leaves its folder, or is nowhere.
    """
    if not isinstance(value, str):
        raise check.DataError(check.sentence(place, "the path of a file", type(value).__name__))
    return images.find(value)


def _boxes(value: Mapping[str, Any], place: str, labels: Labels) -> Boxes:
    classes = [_index(one, place, labels) for one in list_in(value.get("classes"), place)]
    rings = tuple(
        tuple(array_in(ring, f"{place}: polygons", 2) for ring in list_in(one, place))
        for one in list_in(value.get("polygons", []), place)
    )
    marks = [list_in(value.get(mark, []), place) for mark in MARKS]
    if not all(isinstance(one, bool) for mark in marks for one in mark):
        raise check.DataError(check.sentence(place, f"true or false for {', '.join(MARKS)}", "something else"))
    corners = array_in(value.get("xyxy"), place, 2)
    corners = corners if len(corners) else np.zeros((0, 4), np.float32)
    crowd, difficult, truncated = (np.array(mark, bool) for mark in marks)
    return Boxes(corners, np.array(classes, np.int64), rings, crowd, difficult, truncated)


def _index(value: object, place: str, labels: Labels) -> int:
    return labels.names.index(check.one_of(place, str(value), labels.names))


def _points(value: object, place: str) -> np.ndarray:
    """Points; NaN for a number that is not known."""
    written = [list_in(point, place) for point in list_in(value, place)]
    points = array_in([[0 if one is None else one for one in point] for point in written], place, 2)
    if points.shape[1:] != (2,):
        raise check.DataError(check.sentence(place, "a list of [x, y]", f"shape {points.shape}"))
    gaps = np.array([[one is None for one in point] for point in written], bool).reshape(-1, 2)
    return np.where(gaps, np.float32(np.nan), points)


def _sized(array: np.ndarray, place: str, labels: Labels) -> np.ndarray:
    if len(array) != len(labels.names):
        raise check.DataError(check.sentence(place, f"{len(labels.names)}, one a name", len(array)))
    return array
