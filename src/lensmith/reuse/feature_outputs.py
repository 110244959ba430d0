"""What a model predicts for each of many records: read ahead, computed in blocks, and kept block by block."""

from __future__ import annotations

import hashlib
import logging
import struct
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.data import Augment, Preprocessing
from lensmith.data.pipeline.assembling import Examples, Scaling
from lensmith.data.reading import choose_threads, problem
from lensmith.records import Problem, Records
from lensmith.reuse.feature_batches import Outputs
from lensmith.reuse.feature_cache import check_fits, held, opened
from lensmith.reuse.feature_keys import content_of, key_of, name_of, outputs_in_order
from lensmith.reuse.feature_rows import DiskRows, MemoryRows, Rows

_log = logging.getLogger(__name__)
_AHEAD = 3  # blocks that are read while the model is at one
Told = Callable[[int, int], object]  # rows done, rows to compute in all


def outputs_of(
    model: Any,
    records: Records,
    preprocessing: Preprocessing,
    *,
    cache: Path | None,
    augment: Augment | None = None,
    views: int = 0,
    batch: int = 32,
    seed: int = 0,
    limit: int | None = None,
    progress: Told | None = None,
) -> Outputs:
    """What a model predicts for each record, computed once and kept. Arguments and errors as of
    :func:`lensmith.reuse.features.features`.

    A teacher's predictions are kept the same way.
    """
    _check(model, records, preprocessing, augment, views, batch, seed)
    names, dtype = tuple(outputs_in_order(model)), _row_dtype(model)
    examples = Examples(records, preprocessing, {}, {}, augment=augment if views else None, seed=seed, exact=True)
    with ThreadPoolExecutor(choose_threads(records, None) or 1) as pool:
        contents, lost = _contents(records, pool)
        named = _named(contents, views, augment, seed)
        wanted = [name for row in named for name in row.values()]
        key = key_of(model, preprocessing)
        check_fits(dtype, wanted, limit if cache is not None else None)
        job = _Job(model, examples, names, dtype, contents, batch, pool)
        # The lock is taken before the rows are looked at: what is missing now is missing still when it is written.
        with held(cache, key) if cache is not None else nullcontext(True) as mine:
            rows: Rows = MemoryRows(dtype, len(set(wanted)))
            if cache is not None:
                about = {"preprocessing": preprocessing.to_dict()}
                rows = opened(cache, key, about, dtype, wanted, limit, mine=mine)
            where = rows.found(wanted)
            work = _missing(named, where, len(records), batch)
            if work and not mine:
                got = "one that another process is filling"
                raise check.LensmithError(check.sentence(f"cache {cache}", "a folder to write to", got, "Wait for it"))
            written = _compute(job, work, rows, lost, progress)
            kept = _kept(records, named, where | written, lost)
            found = _gathered(kept, named, where | written, rows, names, key, lost, len(written))
            if isinstance(rows, DiskRows) and written:
                rows.flush()
    return found


@dataclass(frozen=True, slots=True)
class _Slot:
    """One row to compute: where its record stands, in which view, and what names the row."""

    place: int
    view: int
    name: bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """What does not change from block to block."""

    model: Any
    examples: Examples
    names: tuple[str, ...]
    dtype: np.dtype
    contents: Mapping[int, bytes]
    batch: int
    pool: ThreadPoolExecutor


def _check(
    model: Any,
    records: Records,
    preprocessing: Preprocessing,
    augment: Augment | None,
    views: int,
    batch: int,
    seed: int,
) -> None:
    if not records:
        raise check.DataError(f"{records.name}: there are no records to compute features of")
    if len(model.inputs) != 1:
        expected = "a model with one input"
        raise check.SettingError(check.sentence("features", expected, f"{len(model.inputs)} inputs"))
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != len(preprocessing.shape) or any(
        a is not None and a != b for a, b in zip(shape, preprocessing.shape, strict=True)
    ):
        expected = f"a preprocessing that makes the model's input of shape {shape}"
        raise check.SettingError(check.sentence("features", expected, f"{preprocessing.shape}"))
    check.positive("batch", batch)
    for setting, value in (("views", views), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise check.SettingError(check.sentence(setting, "a whole number of at least 0", repr(value)))
    if bool(views) != (augment is not None):
        expected = "changes to make of the images" if views else "a number of views of at least 1"
        remedy = "Give augment" if views else "Leave augment out, or ask for views"
        raise check.SettingError(check.sentence("augment" if views else "views", expected, "none", remedy))
    if augment is not None and (augment.mixes or augment.mosaic):
        got = "mixup, cutmix or mosaic, which join several"
        raise check.SettingError(check.sentence("augment", "changes of one image at a time", got, "Leave them out"))
    if augment is not None and preprocessing.image is None:
        raise check.SettingError(check.sentence("augment", "images", "rows of numbers", "Leave it out"))


def _row_dtype(model: Any) -> np.dtype:
    """A row of all outputs, one after the other, by their places: names may differ where all else is the same."""
    fields = []
    for place, (name, output) in enumerate(outputs_in_order(model).items()):
        shape = tuple(output.shape[1:])
        if None in shape:
            expected = "a front whose output has one size"
            remedy = "Give the model's input a size"
            raise check.SettingError(check.sentence(f"features: {name}", expected, f"{shape}", remedy))
        kind = keras.backend.standardize_dtype(output.dtype)
        fields.append((str(place), "float32" if kind == "bfloat16" else kind, shape))  # float32 holds each bfloat16
    return np.dtype(fields)


def _contents(records: Records, pool: ThreadPoolExecutor) -> tuple[dict[int, bytes], dict[int, Problem]]:
    """What each record's image holds, by place; and those that cannot be read."""

    def one(place: int) -> bytes | Problem:
        try:
            return content_of(records[place])
        except check.DataError as error:
            return problem(records[place], error)

    found = dict(enumerate(pool.map(one, range(len(records)))))
    contents = {place: one for place, one in found.items() if isinstance(one, bytes)}
    return contents, {place: one for place, one in found.items() if isinstance(one, Problem)}


def _named(contents: Mapping[int, bytes], views: int, augment: Augment | None, seed: int) -> list[dict[int, bytes]]:
    """The names of all rows: for each view by place."""
    return [
        {place: name_of(content, view, augment, seed) for place, content in contents.items()}
        for view in range(views + 1)
    ]


def _missing(
    named: Sequence[Mapping[int, bytes]], found: Mapping[bytes, int], count: int, batch: int
) -> list[list[_Slot | None]]:
    """The blocks in which there is something to compute.

    Every record has its own slot in its own block, whatever else is missing: what a model gives may depend, in the
    last bit, on how many images it is given and on where an image stands among them.
    """
    done = set(found)
    blocks = []
    for view, names in enumerate(named):
        for first in range(0, count, batch):
            block: list[_Slot | None] = []
            for place in range(first, min(first + batch, count)):
                name = names.get(place)
                block.append(None if name is None or name in done else _Slot(place, view, name))
                done.update(() if name is None else (name,))  # images that are the same are computed once
            if any(block):
                blocks.append(block)
    return blocks


def _compute(
    job: _Job, work: Sequence[list[_Slot | None]], rows: Rows, lost: dict[int, Problem], progress: Told | None
) -> dict[bytes, int]:
    """Compute all blocks and write each when it is done; gives the places of these rows."""
    total, done = sum(slot is not None for block in work for slot in block), 0
    written: dict[bytes, int] = {}
    for block, x, unread in _read_ahead(job, work):
        lost |= unread
        kept = [i for i, slot in enumerate(block) if slot is not None and slot.place not in unread]
        if kept:
            given = backend.predict(job.model, x)
            outputs = given if isinstance(given, Mapping) else {job.names[0]: given}
            made = np.empty(len(kept), job.dtype)
            for field, name in zip(job.dtype.names or (), job.names, strict=True):
                made[field] = np.asarray(outputs[name])[kept]
            written |= rows.write([slot.name for slot in block if slot is not None and slot.place not in unread], made)
        done += sum(slot is not None for slot in block)
        if progress is not None:
            progress(done, total)
    return written


_Block = tuple[list[_Slot | None], np.ndarray, dict[int, Problem]]


def _read_ahead(job: _Job, work: Sequence[list[_Slot | None]]) -> Iterator[_Block]:
    """The blocks with their inputs, some of which are read while the model is at others."""
    waiting: deque[tuple[list[_Slot | None], np.ndarray, list[Future[Problem | None]]]] = deque()
    left = iter(work)
    while True:
        while len(waiting) < _AHEAD and (block := next(left, None)) is not None:
            x = np.zeros((len(block), *job.examples.preprocessing.shape), np.float32)
            futures = [job.pool.submit(_put, job, slot, x[i]) for i, slot in enumerate(block) if slot is not None]
            waiting.append((block, x, futures))
        if not waiting:
            return
        block, x, futures = waiting.popleft()
        slots = [slot for slot in block if slot is not None]
        failed = zip(slots, (future.result() for future in futures), strict=True)
        yield block, x, {slot.place: reason for slot, reason in failed if reason is not None}


def _put(job: _Job, slot: _Slot, out: np.ndarray) -> Problem | None:
    """Read the image of a slot into its place; gives what is wrong where it cannot be read."""
    record, content = job.examples.records[slot.place], job.contents[slot.place]
    try:
        if slot.view == 0:
            Scaling(job.examples.preprocessing)(job.examples.raw(slot.place), out)
        else:
            # The draws follow from the content, so that a view is the same wherever its image stands.
            drawn = int.from_bytes(content[:8], "little")
            x, _ = job.examples.batch(np.array([slot.place]), slot.view, drawn)
            out[...] = x[0]
        if isinstance(record.image, Path) and content_of(record) != content:
            return Problem(record.source, "was changed while it was read")
    except check.DataError as error:
        return problem(record, error)
    return None


def _kept(
    records: Records, named: Sequence[Mapping[int, bytes]], where: Mapping[bytes, int], lost: dict[int, Problem]
) -> tuple[Records, list[int]]:
    """The records of which there is a row in every view, and their places; the others are lost."""
    for place, record in enumerate(records):
        if place not in lost and any(view[place] not in where for view in named):
            lost[place] = Problem(record.source, "has the content of a file that cannot be read")
    for place in sorted(lost):
        _log.warning("left out: %s: %s", lost[place].source, lost[place].reason)
    kept = [place for place in range(len(records)) if place not in lost]
    if not kept:
        first = lost[0]
        raise check.DataError(f"{records.name}: no file can be read; {first.source}: {first.reason}")
    return (records if len(kept) == len(records) else records.select(kept)), kept


def _gathered(
    kept: tuple[Records, list[int]],
    named: Sequence[Mapping[int, bytes]],
    where: Mapping[bytes, int],
    rows: Rows,
    names: tuple[str, ...],
    key: str,
    lost: Mapping[int, Problem],
    computed: int,
) -> Outputs:
    wanted = [view[place] for view in named for place in kept[1]]
    places = np.array([where[name] for name in wanted], np.int64).reshape(len(named), len(kept[1]))
    digest = hashlib.sha256(struct.pack(f"<{len(wanted)}I", *rows.checksums(wanted)))
    array = rows.array()
    return Outputs(
        records=kept[0],
        arrays={name: array[field] for field, name in zip(array.dtype.names or (), names, strict=True)},
        places=places,
        several=len(names) > 1,
        key=key,
        checksum=digest.hexdigest(),
        lost=tuple(lost[place] for place in sorted(lost)),
        computed=computed,
    )
