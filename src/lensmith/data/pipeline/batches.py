"""Records → batches, in an order that is known and a position that can be saved."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import absl.logging
import numpy as np

from lensmith import check
from lensmith.data.preprocess import Preprocessing
from lensmith.data.reading import choose_threads, in_memory, problem
from lensmith.data.targets import to_array
from lensmith.records import Problem, Record, Records


@contextmanager
def _without_profiler_warning() -> Iterator[None]:
    """Grain warns while it is imported that JAX' profiler is missing; here it always is, where JAX is."""

    def other(record: logging.LogRecord) -> bool:
        return "jax profiler" not in record.getMessage()

    logger = absl.logging.get_absl_logger()
    logger.addFilter(other)
    try:
        yield
    finally:
        logger.removeFilter(other)


with _without_profiler_warning():
    import grain

_log = logging.getLogger(__name__)
_KEPT_BYTES = 1 << 30  # examples in memory are preprocessed once, as long as the result is no larger than this

Batch = tuple[np.ndarray, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """Batches of preprocessed examples and their targets; :func:`batches` makes them.

    ``len`` is the number of steps in an epoch; the last batch may be smaller, and none is dropped. The order
    of an epoch follows from the seed and the epoch's number alone, not from threads. A file that can no
    longer be read is left out of its batch and listed in ``lost``: the other positions stay as they are.

    Args:
        records: the examples.
        preprocessing: makes the input of one example.
        targets: by task, one row an example.
        size: examples in a batch.
        seed: of the order.
        shuffle: whether the order changes from epoch to epoch; else it is that of the records.
        threads: how many batches are made at once ahead of need; 0 makes each when it is asked for.
        inputs: the preprocessed examples, where they are kept in memory.
        lost: files that could not be read any more, filled while batches are made.
    """

    records: Records
    preprocessing: Preprocessing
    targets: Mapping[str, np.ndarray]
    size: int
    seed: int
    shuffle: bool
    threads: int
    inputs: np.ndarray | None
    lost: list[Problem] = field(default_factory=list)

    def __len__(self) -> int:
        return -(-len(self.records) // self.size)

    def order(self, epoch: int) -> np.ndarray:
        """The places of the records in the order in which this epoch takes them."""
        if not self.shuffle:
            return np.arange(len(self.records))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.records))

    def dataset(self, epoch: int) -> grain.IterDataset:
        """One epoch as a Grain dataset, which Keras' ``fit`` and ``evaluate`` accept.

        Keras cannot see its length, and warns of a shuffle that it leaves to Grain: give ``fit``
        ``steps_per_epoch=len(batches)`` and ``shuffle=False``.
        """
        order = self.order(epoch)

        def assemble(step: int) -> Batch:
            return self._batch(order[step * self.size : (step + 1) * self.size])

        reading = grain.ReadOptions(num_threads=self.threads, prefetch_buffer_size=2 * self.threads)
        return grain.MapDataset.range(len(self)).map(assemble).to_iter_dataset(reading)

    def epoch(self, epoch: int) -> grain.DatasetIterator:
        """An iterator over one epoch's batches ``(x, y)``.

        ``x`` is float32 ``(n, h, w, c)`` or ``(n, columns)``; ``y`` the array of the one task, or arrays by
        task. Its ``get_state()`` is a dict that JSON holds, and counts the batches that were taken (not those
        prefetched); ``set_state`` on the same epoch of the same batches goes on from there.
        """
        return iter(self.dataset(epoch))

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides what the batches hold and in which order; threads do not."""
        setting = [self.size, self.seed, self.shuffle, self.preprocessing.to_dict(), list(self.targets)]
        digest = hashlib.sha256(json.dumps(setting).encode())
        digest.update("\n".join(record.source for record in self.records).encode())
        for values in self.targets.values():
            digest.update(values.tobytes())
        return digest.hexdigest()

    def _batch(self, places: np.ndarray) -> Batch:
        if self.inputs is not None:
            x = self.inputs[places]
        else:
            made = [self._example(self.records[place]) for place in places]
            places = places[[example is not None for example in made]]
            if not len(places):
                raise check.DataError(f"{self.records.name}: no file of a batch can be read; {self.lost[-1].reason}")
            x = np.stack([example for example in made if example is not None])
        y = {task: values[places] for task, values in self.targets.items()}
        return x, next(iter(y.values())) if len(y) == 1 else y

    def _example(self, record: Record) -> np.ndarray | None:
        try:
            return self.preprocessing(record)
        except check.DataError as error:
            lost = problem(record, error)
            if lost not in self.lost:
                self.lost.append(lost)
                _log.warning("left out of its batch: %s", error)
            return None


def batches(
    records: Records,
    preprocessing: Preprocessing,
    *,
    size: int = 32,
    seed: int = 0,
    shuffle: bool = True,
    tasks: Sequence[str] | None = None,
    threads: int | None = None,
) -> Batches:
    """Make batches of records.

    Args:
        records: audited before, so that their files can be read.
        preprocessing: makes the input of one example.
        size: examples in a batch.
        seed: of the order, at least 0.
        shuffle: a new order every epoch; say False for validation and test.
        tasks: which targets to deliver; left out, all.
        threads: that read files; left out, none for what is in memory and up to 4 for files.

    Raises:
        DataError: there are no records, or a target or a row is wrong; names the record.
        SettingError: a setting is wrong.

    Example:
        >>> from lensmith.data import bundled
        >>> digits = bundled("digits")
        >>> training = batches(digits, Preprocessing(image=(8, 8, 1)), size=100, seed=1)
        >>> x, y = next(training.epoch(0))
        >>> len(training), x.shape, x.dtype, y.shape, y.dtype
        (18, (100, 8, 8, 1), dtype('float32'), (100,), dtype('int32'))
    """
    if not records:
        raise check.DataError(f"{records.name}: there are no records to make batches of")
    check.positive("batch size", size)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise check.SettingError(check.sentence("seed", "a whole number of at least 0", repr(seed)))
    wanted = tuple(records.labels) if tasks is None else tuple(tasks)
    if not wanted:
        raise check.DataError(f"{records.name}: the records have no targets")
    return Batches(
        records=records,
        preprocessing=preprocessing,
        targets={task: to_array(records, task) for task in wanted},
        size=size,
        seed=seed,
        shuffle=shuffle,
        threads=choose_threads(records, threads),
        inputs=_kept(records, preprocessing),
    )


def _kept(records: Records, preprocessing: Preprocessing) -> np.ndarray | None:
    shape = (len(records), *preprocessing.shape)
    if not in_memory(records) or 4 * np.prod(shape, dtype=np.int64) > _KEPT_BYTES:
        return None
    inputs = np.empty(shape, np.float32)
    for place, record in enumerate(records):
        raw = preprocessing.raw(record)
        inputs[place] = raw[..., ::-1] if preprocessing.turned else raw
    multiplier, offset = preprocessing.affine()
    inputs *= multiplier  # in place, and to the bit what preprocessing.scale gives
    inputs += offset
    return inputs
