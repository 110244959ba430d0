"""A run that has not finished: why it stopped, and what is known of its training so far."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lensmith import check, train
from lensmith.runs.folder import RunFolder, read_json, read_lines, write_json
from lensmith.runs.outcomes import once
from lensmith.train.diagnosis import waiting
from lensmith.train.divergence import Diverged


@contextlib.contextmanager
def noted(folder: RunFolder) -> Iterator[None]:
    """Keep in ``stopped.json`` why training ended with a loss that is no number; forget it once training is done."""
    try:
        yield
    except Diverged as error:
        with contextlib.suppress(check.LensmithError):  # why it ended matters more than the disk
            write_json(folder.stopped, {"message": str(error), **error.diagnosis.to_dict()})
        raise
    folder.stopped.unlink(missing_ok=True)


def reason(folder: RunFolder) -> dict[str, Any] | None:
    """Why training stopped, as a diagnosis is written down; None where it did not, or went on from there.

    Raises:
        DataError: a file of the run is broken.
    """
    if not folder.stopped.is_file():
        return None
    stop = read_json(folder.stopped)
    if any(row["epoch"] > stop["epoch"] for row in read_lines(folder.history)):
        return None
    return {name: stop[name] for name in ("kind", "epoch", "evidence", "advice")}


def so_far(folder: RunFolder) -> list[dict[str, Any]]:
    """The troubles of a training that has not ended, as far as its files tell, why it stopped before all others.

    Raises:
        DataError: a file of the run is broken.
    """
    rows = read_lines(folder.history)
    stages = dict.fromkeys(row.get("stage") for row in rows)
    found = [one for stage in stages for one in _of(folder, [row for row in rows if row.get("stage") == stage])]
    stop = reason(folder)
    return once(found if stop is None else [stop, *found])


def _of(folder: RunFolder, rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The troubles of one stage."""
    epochs = {row["epoch"] for row in rows}
    watched, times = (
        [row for row in read_lines(path) if row["epoch"] in epochs] for path in (folder.watch, folder.timing)
    )
    waited, seconds = waiting(times)
    yield from (one.to_dict() for one in train.diagnose(rows, watched, waited=waited, seconds=seconds))
