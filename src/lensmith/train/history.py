"""What training measured, epoch by epoch, in memory and in ``history.jsonl``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import check
from lensmith.files import put_file

HISTORY = "history.jsonl"
TIMING = "timing.jsonl"

# One epoch: "epoch" counts from 1; a value that is not a finite number is None.
Row = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Best:
    """The best epoch so far by the monitored value."""

    epoch: int
    step: int
    value: float


@dataclass(frozen=True, slots=True)
class History:
    """The rows of a training run, one an epoch, and which of them was the best.

    A row holds ``epoch`` (from 1), ``loss``, the metrics, the same with ``val_`` in front where there
    is validation, and ``rate``, the learning rate of the epoch's last step. With several tasks the
    names begin with the task's. Values of training are means over the epoch, as it went on; values of
    validation are means over its examples after it.

    Args:
        rows: one an epoch.
        best: the epoch that the monitored value was best in; None when it never was a number.
        monitor: the name of that value.
        stopped: whether training ended early, for want of improvement.
        restored: the epoch whose weights the model was given back; None when it has the last epoch's.
    """

    rows: tuple[Row, ...]
    best: Best | None
    monitor: str
    stopped: bool
    restored: int | None = None

    def __getitem__(self, name: str) -> list[float | None]:
        """The values of one name over the epochs."""
        names = list(self.rows[0]) if self.rows else []
        check.one_of("history", name, names)
        return [row[name] for row in self.rows]


def number(value: Any) -> float:
    """A scalar of any backend as a Python float, in the shortest decimals that mean the same float32.

    >>> number(np.float32(0.1))
    0.1
    """
    exact = float(value)
    with np.errstate(over="ignore"):
        single = np.float32(exact)
    return float(str(single)) if single == exact else exact


def row(epoch: int, values: Mapping[str, float], rate: float) -> Row:
    """One epoch's row. JSON has no NaN, so a value that is not finite becomes None."""
    finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
    return {"epoch": epoch} | finite | {"rate": rate}


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON lines, whole or not at all."""
    text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    put_file(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def read(path: Path) -> tuple[dict[str, Any], ...]:
    """The rows of a file of JSON lines; none when there is no such file."""
    if not path.exists():
        return ()
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise check.DataError(check.sentence(f"{path}:{number}", "one JSON object", repr(line[:40]))) from error
    return tuple(rows)
