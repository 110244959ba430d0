"""Showing how far training is and when it is expected to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from lensmith.train.diagnosis import Diagnosis
from lensmith.train.history import Row

# How often the values beside the bar are renewed, in seconds. Reading them waits for the device.
_REFRESH = 0.25
# From here on faster data would be felt.
_WORTH_TELLING = 0.05


class Progress(Protocol):
    """What training tells whoever watches it."""

    def on_start(self, epochs: int, steps: int, done: int) -> None:
        """A stage begins: so many epochs of so many steps, of which ``done`` steps were made before."""

    def on_step(self, step: int, values: Callable[[], dict[str, float]], waited: float) -> None:
        """Step number ``step`` (from 1, over all epochs of the stage) was made.

        Call ``values`` for the means over the epoch so far, but not at every step: it waits for the device.
        ``waited`` is the part of the epoch's time so far, 0..1, in which training waited for its data.
        """

    def on_epoch(self, row: Row, waited: float) -> None:
        """An epoch and its validation are done; ``waited`` as above, over the whole epoch."""

    def on_diagnosis(self, found: Sequence[Diagnosis]) -> None:
        """Something is wrong with the run that was not told before."""

    def on_end(self) -> None:
        """Training has ended, for whatever reason."""


class Silent:
    """Shows nothing."""

    def on_start(self, epochs: int, steps: int, done: int) -> None: ...
    def on_step(self, step: int, values: Callable[[], dict[str, float]], waited: float) -> None: ...
    def on_epoch(self, row: Row, waited: float) -> None: ...
    def on_diagnosis(self, found: Sequence[Diagnosis]) -> None: ...
    def on_end(self) -> None: ...


class RichProgress:
    """A bar over the whole training with the time left and the part of it spent waiting for data.

    There is one line for each finished epoch, which names that part where it is worth knowing. Where the output is no
    terminal there are only the lines.

    Args:
        console: where to write; standard error when not given.
        unit: what an epoch is called.
    """

    def __init__(self, console: Console | None = None, unit: str = "epoch") -> None:
        self._console = console or Console(stderr=True)
        self._unit = unit
        self._bar: Bar | None = None
        self._task = TaskID(0)
        self._epochs = self._steps = 1
        self._finished = 0
        self._shown = 0.0

    def of(self, unit: str) -> RichProgress:
        """The same that calls an epoch something else."""
        return RichProgress(self._console, unit)

    def on_start(self, epochs: int, steps: int, done: int) -> None:
        self._epochs, self._steps, self._finished = epochs, steps, done // steps
        if not self._console.is_terminal:
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[values]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._bar = Bar(
            *columns,
            console=self._console,
            refresh_per_second=1 / _REFRESH,
            transient=True,
            speed_estimate_period=120,
        )
        self._task = self._bar.add_task(self._epoch_of(done), total=epochs * steps, completed=done, values="")
        self._bar.start()

    def on_step(self, step: int, values: Callable[[], dict[str, float]], waited: float) -> None:
        if self._bar is None or time.monotonic() - self._shown < _REFRESH:
            return
        self._shown = time.monotonic()
        shown = f"{_listed(values())}  data {waited:.0%}"
        self._bar.update(self._task, completed=step, description=self._epoch_of(step - 1), values=shown)

    def on_epoch(self, row: Row, waited: float) -> None:
        self._finished += 1  # the row counts over all stages
        values = {name: value for name, value in row.items() if name not in ("epoch", "stage")}
        line = f"{self._unit} {self._finished}/{max(self._epochs, self._finished)}  {_listed(values)}"
        if waited >= _WORTH_TELLING:
            line += f"  ({waited:.0%} of the time waiting for data)"
        self._console.print(line, highlight=False, soft_wrap=True)

    def on_diagnosis(self, found: Sequence[Diagnosis]) -> None:
        for one in found:
            self._console.print(f"{one.kind}: {one.evidence}. {one.advice}", highlight=False, soft_wrap=True)

    def on_end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _epoch_of(self, step: int) -> str:
        return f"{self._unit} {min(step // self._steps + 1, self._epochs)}/{self._epochs}"


def _listed(values: Row | dict[str, float]) -> str:
    return "  ".join(f"{name} {'none' if value is None else format(value, '.4g')}" for name, value in values.items())
