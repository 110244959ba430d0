"""What training measured, epoch by epoch, in memory and in ``history.jsonl``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lensmith import check
from lensmith.files import put_file

if TYPE_CHECKING:
    from lensmith.train.diagnosis import Diagnosis

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
class Earlier:
    """What earlier stages of a run did in the same folder.

    Args:
        stage: the number of the stage that comes now, from 1; None where it is the only one of its plan.
        epochs: how many epochs the earlier ones made in all.
        steps: how many steps they made in all.
        rows: their rows of the history.
    """

    stage: int | None = None
    epochs: int = 0
    steps: int = 0
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """The rows of one stage of training, one an epoch, and which of them was the best.

    A row holds ``epoch`` (from 1, over all stages of the run), ``stage`` (its number, where there are
    several), ``loss``, the metrics, the same with ``val_`` in front where there is validation, ``rate``,
    the learning rate of the epoch's last step, and ``dropout``, the mean rate of the dropout layers, in a
    stage in which it follows the gap. With several tasks the names begin with the task's. Values of
    training are means over the epoch, as it went on; values of validation are means over its examples
    after it.

    Args:
        rows: one an epoch.
        best: the epoch that the monitored value was best in; None when it never was a number.
        monitor: the name of that value.
        stopped: whether training ended early, for want of improvement or because a callback asked for it.
        restored: the epoch whose weights the model was given back; None when it has the last epoch's.
        epochs: how many epochs this stage made.
        steps: how many steps it made.
        diagnoses: what is wrong with the run, if anything, in words.
    """

    rows: tuple[Row, ...]
    best: Best | None
    monitor: str
    stopped: bool
    restored: int | None = None
    epochs: int = 0
    steps: int = 0
    diagnoses: tuple[Diagnosis, ...] = ()

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


def row(
    epoch: int, values: Mapping[str, float], rate: float, *, stage: int | None = None, dropout: float | None = None
) -> Row:
    """One epoch's row. JSON has no NaN, so a value that is not finite becomes None.

    >>> row(3, {"loss": 0.5, "hopeless": math.nan}, 0.1, stage=2)
    {'epoch': 3, 'stage': 2, 'loss': 0.5, 'hopeless': None, 'rate': 0.1}
    """
    finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
    numbered = {"epoch": epoch} | ({} if stage is None else {"stage": stage})
    return numbered | finite | {"rate": rate} | ({} if dropout is None else {"dropout": dropout})


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
