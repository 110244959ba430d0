"""Records → the arrays of one batch: read, augmented or not, scaled, and their targets encoded."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import check
from lensmith.data.augmentation.applying import augmented, chosen
from lensmith.data.augmentation.following import follow
from lensmith.data.augmentation.mixing import mix
from lensmith.data.augmentation.mosaic import mosaic
from lensmith.data.augmentation.record import Augment
from lensmith.data.masks import load_mask, resize_mask
from lensmith.data.pipeline.cache import Cache
from lensmith.data.pipeline.reduced import Pixels, load_reduced
from lensmith.data.preprocess import Preprocessing
from lensmith.data.reading import problem
from lensmith.data.targets import check_has, encode, one_hot, record_size
from lensmith.records import Boxes, Labels, Problem, Record, Records, Target

_log = logging.getLogger(__name__)
_ENLARGED = 1.25  # by a zoom above this, an image is read larger, for it would show
_MIXING, _CHOOSING = 1, 2  # set the draws of a batch apart from those of an example, and from one another

Batch = tuple[np.ndarray, Any]
_InPixels = tuple[np.ndarray, dict[str, Target]]
Row = dict[str, np.ndarray]  # the targets of one example as the model takes them, by task


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """All that decides what an example becomes.

    Args:
        records: the examples.
        preprocessing: the size, the channels and the scaling of the model's input.
        labels: of the tasks that are delivered.
        targets: of these, but for masks: one row an example.
        augment: the ranges of changes, if there are any.
        one_hot: whether classes are float32 ``(n, k)`` and not int32 ``(n,)``.
        seed: of the changes.
        exact: whether JPEGs are never decoded at reduced size.
        cache: of decoded pixels, on disk.
        several: how many rows the targets of a detector have, by task of boxes; see :func:`.targets.encode`. Any
            other task of boxes has one an image.
        lost: files that could not be read any more, filled while batches are made.
    """

    records: Records
    preprocessing: Preprocessing
    labels: Mapping[str, Labels]
    targets: Mapping[str, np.ndarray]
    augment: Augment | None = None
    one_hot: bool = False
    seed: int = 0
    exact: bool = False
    cache: Cache | None = None
    several: Mapping[str, int] = field(default_factory=dict)
    lost: list[Problem] = field(default_factory=list)

    def batch(self, places: np.ndarray, epoch: int, first: int) -> Batch:
        """The examples at these places, of which the first is the ``first`` of the epoch in its order.

        Raises:
            DataError: none of them can be read.
        """
        x, put = np.empty((len(places), *self.preprocessing.shape), np.float32), Scaling(self.preprocessing)
        touched, rows, changed = self._chosen(len(places), epoch, first), list[Row](), list[bool]()
        reason = ""
        for position, place in enumerate(places.tolist()):
            try:
                rng = np.random.default_rng([self.seed, epoch, first + position]) if touched[position] else None
                raw, row = self._one(place, rng)
            except check.DataError as error:
                reason = self._lose(self.records[place], error)
                continue
            put(raw, x[len(rows)])
            rows.append(row)
            changed.append(touched[position])
        if not rows:
            raise check.DataError(f"{self.records.name}: no file of a batch can be read; {reason}")
        return self._delivered(x[: len(rows)], self._stacked(rows), np.asarray(changed), epoch, first)

    def kept_batch(self, inputs: np.ndarray, places: np.ndarray) -> Batch:
        """The same of inputs that are in memory already; nothing is augmented."""
        y = {task: values[places] for task, values in self.targets.items()}
        return inputs[places], self._one_or_all(self._coded(y))

    def raw(self, place: int) -> np.ndarray:
        """One input at the model's size, before it is scaled and without augmentation.

        It is uint8 or float32, and not to be written to.

        Raises:
            DataError: it cannot be read.
        """
        record = self.records[place]
        if record.image is None or self.preprocessing.image is None:
            return self.preprocessing.raw(record)
        return self._read(record, self._size).resized(self._size, self.preprocessing.resize)

    def at(self, size: tuple[int, int]) -> Examples:
        """The same examples at another height and width."""
        image = (*size, self.preprocessing.shape[-1])
        return replace(self, preprocessing=replace(self.preprocessing, image=image))

    @property
    def _size(self) -> tuple[int, int]:
        return self.preprocessing.shape[0], self.preprocessing.shape[1]

    def _read(self, record: Record, size: tuple[int, int]) -> Pixels:
        channels, wanted = self.preprocessing.shape[-1], None if self.exact else size
        if self.cache is not None and isinstance(record.image, Path):
            return self.cache.load(record.image, channels, wanted)
        if record.image is None:
            raise check.DataError(check.sentence(record.source, "an example with the field 'image'", "a row"))
        return load_reduced(record.image, channels, wanted, place=record.source)

    def _chosen(self, count: int, epoch: int, first: int) -> np.ndarray:
        """Which examples of a batch are changed."""
        if self.augment is None:
            return np.zeros(count, bool)
        return chosen(count, self.augment.share, np.random.default_rng([self.seed, epoch, first, _CHOOSING]))

    def _one(self, place: int, rng: np.random.Generator | None) -> tuple[np.ndarray, Row]:
        """One example: its input before scaling, and its targets; changed if there is a source of chance."""
        changed = None if self.augment is None or rng is None else self._changed(place, self.augment, rng)
        return changed or (self.raw(place), self._row(place))

    def _changed(self, place: int, augment: Augment, rng: np.random.Generator) -> tuple[np.ndarray, Row] | None:
        """An augmented example; None when no box is left of one that must have one: it stays as it is."""
        four = self._four(place, augment, rng) if augment.mosaic and rng.random() < augment.mosaic else None
        if four is not None:
            pixels, targets = mosaic(four, self.labels, size=self._size, augment=augment, rng=rng)
        else:
            record, read = self.records[place], self._detailed(place)
            source, size = _extent(record, read), self._size
            own = self._targets(record)
            pixels, targets = augmented(
                read.values,
                own,
                self.labels,
                size=size,
                augment=augment,
                rng=rng,
                source=source,
                resized=read.resized,
            )
        if any(isinstance(one, Boxes) and not len(one) and task not in self.several for task, one in targets.items()):
            return None
        return pixels, {task: self._encoded(targets[task], task, place) for task in self.labels}

    def _encoded(self, target: Target, task: str, place: int) -> np.ndarray:
        if self.labels[task].kind == "mask":
            return np.asarray(target, np.int32)
        return encode(
            target, task, self.labels[task], self._size, self.records[place].source, several=self.several.get(task)
        )

    def _four(self, place: int, augment: Augment, rng: np.random.Generator) -> Sequence[_InPixels] | None:
        """The examples of a mosaic; None when one of them cannot be read, which is told when its own turn comes."""
        others = rng.integers(0, len(self.records), 3).tolist()
        try:
            return [self._in_pixels(one) for one in (place, *others)]
        except check.DataError:
            return None

    def _in_pixels(self, place: int) -> _InPixels:
        """An example of a mosaic, with its targets in the pixels that were read."""
        record, read = self.records[place], self._detailed(place)
        (height, width), now = _extent(record, read), read.values.shape[:2]
        matrix = np.diag([now[1] / width, now[0] / height, 1.0])
        return read.values, follow(self._targets(record), self.labels, matrix, (now[0], now[1]))

    @property
    def largest(self) -> tuple[int, int]:
        """The size that images are wanted at: the model's, and more where a zoom would magnify it."""
        zoom = self.augment.zoom if self.augment else 1.0
        most = zoom[1] if isinstance(zoom, tuple) else zoom
        factor = most if most > _ENLARGED else 1
        return round(self._size[0] * factor), round(self._size[1] * factor)

    def _detailed(self, place: int) -> Pixels:
        return self._read(self.records[place], self.largest)

    def _targets(self, record: Record) -> dict[str, Target]:
        """The targets as the record has them, masks as arrays."""
        return {
            task: self._mask(record, task) if labels.kind == "mask" else record.targets[task]
            for task, labels in self.labels.items()
        }

    def _row(self, place: int) -> Row:
        """The targets of an example that is not changed."""
        return {
            task: self._resized_mask(self.records[place], task) if labels.kind == "mask" else self.targets[task][place]
            for task, labels in self.labels.items()
        }

    def _mask(self, record: Record, task: str) -> np.ndarray:
        check_has(record, task)
        target = record.targets[task]
        if not isinstance(target, np.ndarray | Path):
            raise check.DataError(check.sentence(f"{record.source}: {task}", "a mask", type(target).__name__))
        classes = len(self.labels[task].names)
        return load_mask(target, f"{record.source}: {task}", size=record_size(record), classes=classes)

    def _resized_mask(self, record: Record, task: str) -> np.ndarray:
        return resize_mask(self._mask(record, task), self._size).astype(np.int32)

    def _stacked(self, rows: list[Row]) -> Row:
        return {task: np.stack([row[task] for row in rows]) for task in self.labels}

    def _coded(self, y: Row) -> Row:
        if not self.one_hot:
            return y
        kinds = {task: labels for task, labels in self.labels.items() if labels.kind == "class"}
        return y | {task: one_hot(y[task], len(labels.names)) for task, labels in kinds.items()}

    def _delivered(self, x: np.ndarray, y: Row, changed: np.ndarray, epoch: int, first: int) -> Batch:
        y = self._coded(y)
        if self.augment is not None and self.augment.mixes:
            rng = np.random.default_rng([self.seed, epoch, first, _MIXING])
            x, y = mix(x, y, self.augment, rng, changed=changed)
        return x, self._one_or_all(y)

    def _one_or_all(self, y: Row) -> Any:
        return next(iter(y.values())) if len(y) == 1 else y

    def _lose(self, record: Record, error: check.DataError) -> str:
        """List a file that was lost, once; gives the reason."""
        lost = problem(record, error)
        if lost not in self.lost:
            self.lost.append(lost)
            _log.warning("left out of its batch: %s", error)
        return lost.reason


def _extent(record: Record, read: Pixels) -> tuple[int, int]:
    """Height and width that the targets of a record are about, as for those that are not augmented."""
    return record.size if record.size is not None and min(record.size) > 0 else read.size


class Scaling:
    """Writes inputs into the places of a batch, scaled as ``preprocessing.scale`` does it, to the bit.

    Args:
        preprocessing: of these inputs.
    """

    __slots__ = ("_multiplier", "_offset", "_turned")

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._turned = preprocessing.turned
        self._multiplier, self._offset = (_along_a_row(one, preprocessing.shape) for one in preprocessing.affine())

    def __call__(self, raw: np.ndarray, out: np.ndarray) -> None:
        out[...] = raw[..., ::-1] if self._turned else raw
        np.multiply(out, self._multiplier, out=out)
        if raw.dtype != np.uint8 or np.any(self._offset):  # + 0 changes nothing but the sign of a zero
            np.add(out, self._offset, out=out)


def _along_a_row(numbers: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One number for all, or a row of pixels of them: numpy is four times as fast as with three channels at a time."""
    same = numbers.min() == numbers.max()
    return numbers[:1].reshape(()) if same else np.broadcast_to(numbers, shape[-2:]).copy()
