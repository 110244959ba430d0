"""Records → batches, in an order that is known and a position that can be saved."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import absl.logging
import numpy as np

from lensmith import check
from lensmith.data.augmentation.record import Augment
from lensmith.data.pipeline import asked
from lensmith.data.pipeline.assembling import Batch, Examples, Scaling
from lensmith.data.pipeline.cache import Cache
from lensmith.data.pipeline.memory import BUDGET, Plan, image_bytes, plan
from lensmith.data.preprocess import Preprocessing
from lensmith.data.reading import choose_threads, in_memory
from lensmith.data.targets import to_array
from lensmith.records import Problem, Records


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


HELD = 10  # batches of one size, before another is drawn
_SIZING = 3  # sets the draw of a size apart from those of :mod:`.assembling`


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """Batches of preprocessed examples and their targets; :func:`batches` makes them.

    ``len`` is the number of steps in an epoch; the last batch may be smaller, and none is dropped. What an epoch
    holds, and in which order, follows from the seed and the epoch's number alone, not from threads, the cache or
    the position it goes on from. A file that can no longer be read is left out of its batch and listed in ``lost``:
    the other positions stay as they are.

    Args:
        examples: what each example becomes.
        size: examples in a batch.
        shuffle: whether the order changes from epoch to epoch; else it is that of the records.
        plan: what is made at once, ahead of need.
        inputs: the preprocessed examples, where they are kept in memory; they cannot be written to.
        sizes: heights and widths of which every few batches one is drawn, in place of the preprocessing's.
    """

    examples: Examples
    size: int
    shuffle: bool
    plan: Plan
    inputs: np.ndarray | None
    sizes: tuple[tuple[int, int], ...] = ()

    @property
    def records(self) -> Records:
        """The examples."""
        return self.examples.records

    @property
    def preprocessing(self) -> Preprocessing:
        """What makes the input of one example."""
        return self.examples.preprocessing

    @property
    def seed(self) -> int:
        """Of the order and of the augmentation."""
        return self.examples.seed

    @property
    def threads(self) -> int:
        """How many batches are made at once ahead of need; with 0 each is made when it is asked for."""
        return self.plan.threads

    @property
    def one_hot(self) -> bool:
        """Whether the targets of a class task are float32 ``(n, k)``, and not int32 ``(n,)``."""
        return self.examples.one_hot

    @property
    def lost(self) -> list[Problem]:
        """Files that could not be read any more, filled while batches are made."""
        return self.examples.lost

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
            first = step * self.size
            places = order[first : first + self.size]
            if self.inputs is not None:
                return self.examples.kept_batch(self.inputs, places)
            return self._examples(epoch, step).batch(places, epoch, first)

        reading = grain.ReadOptions(num_threads=self.plan.threads, prefetch_buffer_size=self.plan.ahead)
        return grain.MapDataset.range(len(self)).map(assemble).to_iter_dataset(reading)

    def _examples(self, epoch: int, step: int) -> Examples:
        """The examples at the size that a step has."""
        if not self.sizes:
            return self.examples
        rng = np.random.default_rng([self.seed, epoch, step // HELD, _SIZING])
        return self.examples.at(self.sizes[int(rng.integers(len(self.sizes)))])

    def epoch(self, epoch: int) -> grain.DatasetIterator:
        """An iterator over one epoch's batches ``(x, y)``.

        ``x`` is float32 ``(n, h, w, c)`` or ``(n, columns)``; ``y`` the array of the one task, or arrays by
        task: see :func:`batches`. Its ``get_state()`` is a dict that JSON holds, and counts the batches that were
        taken (not those prefetched); ``set_state`` on the same epoch of the same batches goes on from there.
        """
        return iter(self.dataset(epoch))

    @property
    def fingerprint(self) -> str:
        """A hash of the settings, the names of the records and their targets, which decide the batches and their order.

        Threads and the cache do not; and images and rows are not looked into.
        """
        made = self.examples
        setting = [self.size, self.seed, self.shuffle, self.preprocessing.to_dict(), list(made.labels)]
        augment = None if made.augment is None else made.augment.to_dict()
        digest = hashlib.sha256(json.dumps([*setting, augment, made.one_hot, made.exact, *self.sizes]).encode())
        digest.update("\n".join(record.source for record in self.records).encode(errors="surrogateescape"))
        for values in made.targets.values():
            digest.update(values.tobytes())
        for task in made.labels.keys() - made.targets.keys():  # masks: those in memory by what they hold
            for record in self.records:
                target = record.targets[task]
                digest.update(target.tobytes() if isinstance(target, np.ndarray) else str(target).encode())
        return digest.hexdigest()


def batches(
    records: Records,
    preprocessing: Preprocessing,
    *,
    size: int = 32,
    seed: int = 0,
    shuffle: bool = True,
    tasks: Sequence[str] | None = None,
    augment: Augment | None = None,
    one_hot: bool = False,
    several: Sequence[str] = (),
    sizes: Sequence[tuple[int, int]] = (),
    exact: bool = False,
    threads: int | None = None,
    memory: int | None = None,
    cache: Path | str | None = None,
) -> Batches:
    """Make batches of records.

    ==========  ===================================================================================
    kind        targets
    ==========  ===================================================================================
    class       int32 ``(n,)``; with ``one_hot``, or where images are mixed, float32 ``(n, k)``
    classes     float32 ``(n, k)`` of 0 and 1
    number      float32 ``(n, k)``
    points      float32 ``(n, k, 2)``, x and y as shares of the image
    boxes       of which each image has one: float32 ``(n, 4)``, x1, y1, x2, y2 as shares of the image
    boxes       of a task in ``several``: float32 ``(n, most, 6)``, see :func:`.targets.encode`
    mask        int32 ``(n, h, w)`` at the size of the model's input
    ==========  ===================================================================================

    Args:
        records: audited before, so that their files can be read.
        preprocessing: makes the input of one example.
        size: examples in a batch.
        seed: of the order and of the augmentation, at least 0.
        shuffle: a new order every epoch; say False for validation and test.
        tasks: which targets to deliver; left out, all.
        augment: changes to make, each example and epoch anew. An example whose only box would leave the frame is
            left as it is.
        one_hot: deliver classes as rows of 0 and 1, as mixed images need them: for a validation part whose loss
            is to be that of a training part with MixUp or CutMix.
        several: tasks of boxes whose images have any number of objects, none included, as a detector takes them.
        sizes: heights and widths of the inputs, of which one is drawn anew every ten batches (multi-scale training,
            Redmon & Farhadi 2017, YOLO9000, section 2); left out, the preprocessing's alone.
        exact: decode JPEGs at full size and resize them exactly, as prediction does. Otherwise those that are far
            larger than the model's input are decoded at reduced size, and all are resized in whole levels, which
            is faster, and 1 to 2 levels of 255 away on average.
        threads: that make batches ahead of need; left out, none for what is in memory and up to 4 for files.
        memory: bytes that batches in the making, ahead of need and in training, and inputs that are kept, may
            take together, 1 GiB where it is left out. Fewer batches are made ahead, and fewer at once, to keep it.
            What one image takes while it is read is estimated from 64 of them.
        cache: a folder to keep decoded pixels in, so that no file is decoded twice; the batches are the same.

    Raises:
        DataError: there are no records, or a target or a row is wrong; names the record.
        SettingError: a setting is wrong, or two batches do not fit into the memory.

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
    budget = BUDGET if memory is None else check.positive("memory", memory)
    labels = asked.labels(records, tasks)
    if augment is not None:
        asked.check_augment(augment, preprocessing, labels, several)
    rows = asked.rows(records, labels, several, augment)
    examples = Examples(
        records=records,
        preprocessing=preprocessing,
        labels=MappingProxyType(labels),
        targets=MappingProxyType(
            {
                task: _fixed(to_array(records, task, several=rows.get(task)))
                for task, one in labels.items()
                if one.kind != "mask"
            }
        ),
        augment=augment,
        one_hot=one_hot or (augment is not None and augment.mixes),
        seed=seed,
        exact=exact,
        several=MappingProxyType(rows),
        cache=None if cache is None else Cache(Path(cache)),
    )
    drawn = asked.sizes(sizes, labels)
    largest = examples.at(max(drawn, key=math.prod)) if drawn else examples
    made = _plan(largest, min(size, len(records)), budget, choose_threads(records, threads), fixed=not drawn)
    return Batches(examples, size, shuffle, made, _kept(examples) if made.kept else None, drawn)


def _plan(examples: Examples, size: int, budget: int, threads: int, *, fixed: bool) -> Plan:
    """The plan for batches of this size; what is in memory is kept preprocessed, if it fits and does not change."""
    values = int(np.prod(examples.preprocessing.shape, dtype=np.int64))
    masks = sum(labels.kind == "mask" for labels in examples.labels.values())
    pixels = values // examples.preprocessing.shape[-1] if masks else 0
    copies = 2 if examples.augment and examples.augment.mixes else 1  # a batch is mixed into a second one
    shape, image = examples.preprocessing.image, 0
    if shape is not None:
        image = image_bytes(examples.records, shape[2], None if examples.exact else examples.largest)
        image *= 4 if examples.augment and examples.augment.mosaic else 1
        image += 2 * 4 * values  # at the model's size: as it was resampled, and as it was changed then
    fixed = fixed and in_memory(examples.records) and examples.augment is None and not masks
    return plan(
        budget,
        batch=4 * size * (copies * values + 2 * masks * pixels),
        image=image,
        whole=4 * len(examples.records) * values if fixed else None,
        threads=threads,
    )


def _kept(examples: Examples) -> np.ndarray:
    inputs = np.empty((len(examples.records), *examples.preprocessing.shape), np.float32)
    put = Scaling(examples.preprocessing)
    for place in range(len(inputs)):
        put(examples.raw(place), inputs[place])
    return _fixed(inputs)


def _fixed(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False
    return values
