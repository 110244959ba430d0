"""What the audit and the batches share when they read files: threads, and files that cannot be read."""

from __future__ import annotations

import os

import numpy as np

from lensmith import check
from lensmith.records import Problem, Record, Records


def in_memory(records: Records) -> bool:
    """Whether no file has to be opened for any of these records."""
    return all(record.row is not None or isinstance(record.image, np.ndarray) for record in records)


def choose_threads(records: Records, threads: int | None) -> int:
    """The number of reading threads: as asked; else none for what is in memory, up to 4 for files.

    Raises:
        SettingError: it is negative or no whole number.
    """
    if threads is None:
        return 0 if in_memory(records) else min(os.cpu_count() or 1, 4)
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 0:
        raise check.SettingError(check.sentence("threads", "a whole number of at least 0", repr(threads)))
    return threads


def problem(record: Record, error: check.DataError) -> Problem:
    """What an error says about a record, without the name that the message begins with."""
    return Problem(record.source, str(error).removeprefix(f"{record.image}: ").removeprefix(f"{record.source}: "))
