"""How many batches may be made ahead of need, so that a budget of memory is kept."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lensmith import check
from lensmith.data.images import extent
from lensmith.data.pipeline.reduced import scale_for
from lensmith.records import Record, Records

BUDGET = 1 << 30  # bytes, where none is stated
_LOOKED_AT = 64  # images whose headers tell how large the others are
_WORKING = 6  # bytes for each value of an image in the making: as it was decoded, twice, and as float32
_HELD = 2  # batches outside the queue: the one in training, and the one that is handed over


@dataclass(frozen=True, slots=True)
class Plan:
    """What is made at once, within a budget.

    Args:
        threads: batches in the making at once; with 0 each is made when it is asked for.
        ahead: batches that are finished or in the making ahead of need.
        kept: whether all inputs are kept in memory.
    """

    threads: int
    ahead: int
    kept: bool


def plan(budget: int, *, batch: int, image: int, whole: int | None, threads: int) -> Plan:
    """Fit the work into a budget: first fewer batches ahead of need, then fewer threads.

    Args:
        budget: bytes.
        batch: bytes of one batch, in the making.
        image: bytes that a thread needs to read one image.
        whole: bytes of all inputs, where they can be kept.
        threads: as many as are wanted.

    Raises:
        SettingError: two batches do not fit.

    Example:
        >>> plan(100, batch=10, image=5, whole=None, threads=4)
        Plan(threads=4, ahead=6, kept=False)
        >>> plan(100, batch=30, image=5, whole=None, threads=4)
        Plan(threads=1, ahead=1, kept=False)
    """
    least = 2 * batch + image
    if least > budget:
        expected = (
            f"at least {_megabytes(least)} MiB, for two batches of {_megabytes(batch)} MiB"
            f" and {_megabytes(image)} MiB to read an image"
        )
        remedy = "Allow more, or make the batches smaller"
        raise check.SettingError(check.sentence("memory", expected, f"{budget / 2**20:.4g} MiB", remedy))
    kept = whole is not None and whole + least <= budget
    left = budget - (whole if kept and whole is not None else 0)
    for number in range(threads, 0, -1):
        ahead = min(2 * number, (left - number * image) // batch - _HELD)
        if ahead >= number:
            return Plan(number, ahead, kept)
    return Plan(0, 0, kept)


def image_bytes(records: Records, channels: int, size: tuple[int, int] | None) -> int:
    """About what a thread needs to read the largest of these images, going by the headers of some of them.

    Args:
        records: spread evenly, up to 64 of them are looked at.
        channels: that are wanted.
        size: of the target, where JPEGs are reduced.
    """
    chosen = np.unique(np.linspace(0, len(records) - 1, _LOOKED_AT).astype(int))
    return max((_one(records[place], channels, size) for place in chosen), default=0)


def _one(record: Record, channels: int, size: tuple[int, int] | None) -> int:
    if isinstance(record.image, np.ndarray):
        return record.image.size * _WORKING
    if not isinstance(record.image, Path):
        return 0
    with contextlib.suppress(check.DataError, OSError):  # it is left out of its batch, with the reason, later
        height, width = record.size or extent(record.image)
        jpeg = record.image.suffix.lower() in (".jpg", ".jpeg")
        scale = scale_for((height, width), size) if jpeg else 1
        return record.image.stat().st_size + height * width * max(channels, 3) * _WORKING // scale**2
    return 0


def _megabytes(count: int) -> int:
    return -(-count // 2**20)
