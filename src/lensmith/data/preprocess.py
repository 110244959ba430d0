"""From what a record holds to the float32 numbers that enter a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import check
from lensmith.data.images import decode
from lensmith.data.reading import choose_threads
from lensmith.data.resampling import RESIZES, resize
from lensmith.records import Record, Records

CHANNELS = ("rgb", "bgr")
SCALINGS = ("0..1", "-1..1", "standardise", "none")
_FIXED = {"0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0), "none": (1.0, 0.0)}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What happens to an example before the model sees it: one size, channels, one range of values.

    It is called with a record, an image (file or pixels) or a row. The same record travels with the model, so
    that what is shipped repeats it.

    Args:
        image: ``(height, width, channels)`` of the model's input; exactly one of image and columns is given.
        columns: how many numbers a row has.
        scaling: ``"0..1"`` (x / 255), ``"-1..1"`` (x / 127.5 − 1), ``"standardise"`` ((x − mean) / deviation)
            or ``"none"``. Rows take the last two.
        mean: for standardise: one number a channel or column, in the units of the source (0..255 for pixels).
        deviation: likewise; where it is 0 (a constant column), 1 is used.
        channels: the order in which the model takes them: ``"rgb"``, or ``"bgr"`` as networks trained with Caffe;
            mean and deviation are in that order. Images come in as RGB in any case.
        resize: how images are brought to their size, see :func:`.resampling.resize`.

    Raises:
        SettingError: the settings contradict one another; names the field.

    Example:
        >>> to_unit = Preprocessing(image=(1, 1, 3))
        >>> to_unit(np.full((4, 4, 3), 255, np.uint8))
        array([[[1., 1., 1.]]], dtype=float32)
    """

    image: tuple[int, int, int] | None = None
    columns: int | None = None
    scaling: str = "0..1"
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    channels: str = "rgb"
    resize: str = "area"

    def __post_init__(self) -> None:
        if (self.image is None) == (self.columns is None):
            raise check.SettingError("preprocessing: expected either the size of an image or a number of columns")
        if self.image is not None:
            object.__setattr__(self, "image", _checked_size(self.image))
        if self.columns is not None:
            check.positive("preprocessing.columns", self.columns)
        check.one_of("preprocessing.scaling", self.scaling, SCALINGS)
        check.one_of("preprocessing.channels", self.channels, CHANNELS)
        check.one_of("preprocessing.resize", self.resize, RESIZES)
        if self.turned and self.shape[-1] != 3:
            raise check.SettingError(check.sentence("preprocessing.channels", "'rgb' but for colour images", "'bgr'"))
        if self.columns is not None and self.scaling in ("0..1", "-1..1"):
            remedy = "Only pixels have a range that is known beforehand"
            raise check.SettingError(
                check.sentence("preprocessing.scaling", "standardise or none for rows", repr(self.scaling), remedy)
            )
        for field in ("mean", "deviation"):
            object.__setattr__(self, field, self._statistics(field))

    def _statistics(self, field: str) -> tuple[float, ...] | None:
        given = getattr(self, field)
        if self.scaling != "standardise":
            if given is not None:
                raise check.SettingError(f"preprocessing.{field}: only the scaling 'standardise' has one; leave it out")
            return None
        count = self.image[2] if self.image else self.columns
        values = () if given is None else tuple(float(value) for value in given)
        if len(values) != count or not all(math.isfinite(value) for value in values):
            remedy = "lensmith.data.preprocessing computes it from the training part" if given is None else ""
            raise check.SettingError(
                check.sentence(f"preprocessing.{field}", f"{count} finite number(s)", repr(given), remedy)
            )
        if field == "deviation" and min(values) < 0:
            raise check.SettingError(check.sentence("preprocessing.deviation", "no negative number", repr(given)))
        return values

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one preprocessed example."""
        return self.image if self.image is not None else (self.columns or 0,)

    @property
    def turned(self) -> bool:
        """Whether the channels change their order, before they are scaled."""
        return self.channels == "bgr"

    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """The scaling as ``value = raw · multiplier + offset``, one float32 number a channel or column.

        Example:
            >>> Preprocessing(columns=2, scaling="standardise", mean=(1, 5), deviation=(2, 0)).affine()
            (array([0.5, 1. ], dtype=float32), array([-0.5, -5. ], dtype=float32))
        """
        if self.mean is None or self.deviation is None:
            multiplier, offset = _FIXED[self.scaling]
            count = self.shape[-1]
            return np.full(count, multiplier, np.float32), np.full(count, offset, np.float32)
        deviation = np.asarray([value or 1.0 for value in self.deviation])
        return (1 / deviation).astype(np.float32), (-np.asarray(self.mean) / deviation).astype(np.float32)

    def scale(self, raw: np.ndarray) -> np.ndarray:
        """Scale pixels (0..255) or rows whose last axis is channels or columns; float32 of the same shape."""
        multiplier, offset = self.affine()
        ordered = raw[..., ::-1] if self.turned else raw
        scaled: np.ndarray = ordered.astype(np.float32) * multiplier + offset
        return scaled

    def raw(self, example: Record | np.ndarray | Path | str) -> np.ndarray:
        """The example at the model's size but before scaling: float32, pixels 0..255.

        Raises:
            DataError: the image cannot be read, or the row has another number of columns.
        """
        wanted = "row" if self.image is None else "image"
        place: str = wanted
        content: Any = example
        if isinstance(example, Record):
            place, content = example.source, getattr(example, wanted)
            if content is None:
                got = "a row" if self.image else "an image"
                raise check.DataError(check.sentence(place, f"an example with the field {wanted!r}", got))
        if self.image is not None:
            height, width, channels = self.image
            return resize(decode(content, channels, place=place), (height, width), self.resize)
        row = np.asarray(content)
        if row.shape != (self.columns,) or row.dtype.kind not in "fiub":
            raise check.DataError(check.sentence(place, f"a row of {self.columns} numbers", f"shape {row.shape}"))
        return row.astype(np.float32)

    def __call__(self, example: Record | np.ndarray | Path | str) -> np.ndarray:
        """Preprocess one example: float32 of shape :attr:`shape`."""
        return self.scale(self.raw(example))

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON holds without loss."""
        own = {"image": self.image, "columns": self.columns, "mean": self.mean, "deviation": self.deviation}
        listed = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
        given = {name: value for name, value in listed.items() if value is not None}
        # What is as usual is left out, so that what was written before there was a choice reads the same.
        unusual = {"channels": self.channels} if self.turned else {}
        unusual |= {"resize": self.resize} if self.resize != "area" else {}
        return {"scaling": self.scaling, **given, **unusual}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Preprocessing:
        """What :meth:`to_dict` wrote.

        Raises:
            SettingError: a key is unknown or a value wrong; names it.
        """
        for key in values:
            check.one_of("preprocessing", key, [field.name for field in fields(Preprocessing)])
        given: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return Preprocessing(**given)


def preprocessing(records: Records, *, image: Sequence[int] | None = None, scaling: str | None = None) -> Preprocessing:
    """Settle how these records are preprocessed, with the statistics of these records and no others.

    Pass the training part alone: statistics of the validation or test part would leak into training.

    Args:
        records: of the training part.
        image: ``(height, width, channels)``; may be left out where all images are in memory and of one shape.
        scaling: see :class:`Preprocessing`; left out, it is ``"0..1"`` for images and ``"standardise"`` for rows.

    Raises:
        DataError: there are no records, or one of them cannot be read.
        SettingError: a setting is wrong.
    """
    if not records:
        raise check.DataError(f"{records.name}: there are no records to preprocess")
    size, columns = (None, len(records[0].row)) if records[0].row is not None else (image or _one_shape(records), None)
    scaling = scaling or ("0..1" if columns is None else "standardise")
    size = None if size is None else _checked_size(size)
    if scaling != "standardise":
        return Preprocessing(image=size, columns=columns, scaling=scaling)
    mean, deviation = _moments(records, Preprocessing(image=size, columns=columns, scaling="none"))
    return Preprocessing(image=size, columns=columns, scaling=scaling, mean=mean, deviation=deviation)


def _moments(records: Records, plain: Preprocessing) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation over all examples and positions, in float64 about the first example's mean."""
    shift = plain.raw(records[0]).reshape(-1, plain.shape[-1]).mean(axis=0, dtype=np.float64)

    def sums(record: Record) -> tuple[int, np.ndarray, np.ndarray]:
        values = plain.raw(record).reshape(-1, len(shift)) - shift
        return len(values), values.sum(axis=0), (values**2).sum(axis=0)

    with ThreadPoolExecutor(max(choose_threads(records, None), 1)) as pool:
        counts, firsts, seconds = zip(*pool.map(sums, records), strict=True)  # in order: the same sum every time
    count = sum(counts)
    mean = sum(firsts) / count
    variance = np.maximum(sum(seconds) / count - mean**2, 0)
    return tuple((mean + shift).tolist()), tuple(np.sqrt(variance).tolist())


def _one_shape(records: Records) -> tuple[int, ...]:
    shapes = {record.image.shape if isinstance(record.image, np.ndarray) else None for record in records}
    shape = shapes.pop()
    if shapes or shape is None:
        raise check.SettingError(
            check.sentence("image", "(height, width, channels), for the images are files or differ in size", "none")
        )
    return (*shape[:2], 1 if shape[2] == 1 else 3)


def _checked_size(image: Sequence[int]) -> tuple[int, int, int]:
    size = tuple(image)
    if len(size) != 3 or size[2] not in (1, 3):
        raise check.SettingError(check.sentence("image", "(height, width, 1 or 3 channels)", repr(image)))
    return check.positive("image height", size[0]), check.positive("image width", size[1]), size[2]
