"""A stage's folder: beginning in it, saving to it, and coming back to it."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.train import averaging, checkpoint, divergence, history, watch
from lensmith.train.checkpoint import Arrays, Checkpoint
from lensmith.train.diagnosis.kinds import Diagnosis
from lensmith.train.history import Best, Earlier
from lensmith.train.stages import HOUSEKEEPING
from lensmith.train.state import State, arrays_of, put, variables_of

ALONE = Earlier()

_log = logging.getLogger("lensmith.train")

# Writing checkpoints may take one part in so many of the time, and so may writing the history between them.
_SHARE = 30


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a checkpoint holds, not yet written."""

    step: int
    arrays: Mapping[str, Arrays]
    content: Mapping[str, Any]

    def write(self, folder: Path) -> Path:
        return checkpoint.write(folder, self.step, self.arrays, self.content)


class Store:
    """Where a stage is written, and read again when it is resumed.

    Args:
        folder: of the stage; None keeps only the best weights, in memory.
        model: the compiled model that is trained.
        facts: what the stage was begun with; resuming with anything else is refused.
        keep: how many of the newest checkpoints to keep.
        remembers_best: whether :meth:`restore_best` will be asked for.
        earlier: what earlier stages did in the same folder.
    """

    def __init__(
        self,
        folder: Path | None,
        model: Any,
        facts: Mapping[str, Any],
        *,
        keep: int,
        remembers_best: bool,
        earlier: Earlier = ALONE,
    ) -> None:
        self.folder = folder
        self._model = model
        self._facts = json.loads(json.dumps(facts, default=str))
        self._keep = keep
        self._remembers_best = remembers_best
        self._earlier = earlier
        self._best: Arrays = {}
        self._last: Arrays = {}
        self._metrics: Arrays = {}
        self._times: list[Mapping[str, Any]] = []
        self._held: _Taken | None = None  # the best, where it is not written yet
        self._cost, self._written = 0.0, time.perf_counter()
        self._behind: State | None = None  # the newest finished epoch, where the history on disk lacks it
        self._history_cost, self._history_written = 0.0, 0.0

    def add_facts(self, facts: Mapping[str, Any]) -> None:
        """More of what the stage was begun with."""
        self._facts |= json.loads(json.dumps(facts, default=str))

    def begin(self, *, resume: bool) -> State:
        """The state to go on from; the model and its optimizer are put into it.

        Where the folder holds only checkpoints of an earlier stage this one begins anew: its first checkpoint is
        written, and then those are deleted.

        Raises:
            SettingError: there is something in the folder and it is not to be resumed, or no folder, or a checkpoint
                of a later stage.
            LensmithError: the folder holds another run, or none of its checkpoints is whole.
        """
        if self.folder is None:
            if resume:
                raise check.SettingError(check.sentence("resume", "a folder to resume from", "none"))
            self.save(State())
            return State()
        self.folder.mkdir(parents=True, exist_ok=True)
        found, broken = checkpoint.latest(self._checkpoints)
        earlier = checkpoint.listed(self._checkpoints)
        if earlier and not resume:
            expected = "a folder without checkpoints"
            remedy = "Resume it, or begin in another folder"
            raise check.SettingError(check.sentence(str(self.folder), expected, earlier[-1].name, remedy))
        for problem in broken:
            _log.warning("passed over the checkpoint %s: %s", problem.source, problem.reason)
        if found is not None and self._is_of_this_stage(found):
            return self._go_on(found)
        if found is None and broken:
            raise check.LensmithError(f"none of the checkpoints in {self._checkpoints} is whole; begin anew")
        if found is not None:
            self._same_conditions(found)
        # From here on a kill loses nothing, not even the initial weights.
        began = time.perf_counter()
        self.save(State())
        self._written = time.perf_counter()
        self._cost = self._written - began
        first = self._checkpoints / checkpoint.name_of(self._earlier.steps)
        checkpoint.prune(self._checkpoints, newest=first, keep=1)
        if self._earlier.rows:
            self.write_history(State())
        return State()

    def save(self, state: State) -> None:
        """Write a checkpoint of the model as it is now, then delete the ones no longer kept.

        Raises:
            LensmithError: a weight is not a finite number, or the disk refuses. The last checkpoint
                stays as it is.
        """
        step = self._earlier.steps + state.step
        if self.folder is None:
            self._last = arrays_of(variables_of(self._model)["variables"])
            if self._remembers_best and state.best is not None and state.best.step == step:
                self._best = self._averaged_arrays()
            return
        taken = self._taken(state)
        if self._held is not None and state.best is not None and self._held.step == state.best.step:
            self._held.write(self._checkpoints)
        self._held = None
        written = taken.write(self._checkpoints)
        best = [] if state.best is None else [checkpoint.name_of(state.best.step)]
        checkpoint.prune(self._checkpoints, newest=written, keep=self._keep, also=best)

    def close(self, state: State, *, seconds: float, steps: int, waited: float, last: bool) -> None:
        """Write a checkpoint and the history after an epoch, and how long it took and for what part data were waited.

        Where epochs are so short that writing would take more than a thirtieth of the time, it waits for a later one;
        what was the best meanwhile is kept in memory until then, and the history is written alone where that is
        cheap. How fast the clock runs so decides which checkpoints there are on the way, and nothing else. A run that
        is killed makes more steps again then, to the same bits. After an error, :meth:`flush` writes what is missing.

        The history holds no time of day and no speed, so that a resumed run's is equal to the byte to
        that of one never stopped; these go to a file of their own.
        """
        speed = round(steps / seconds, 3)
        epoch = self._earlier.epochs + state.epoch
        timing = {"epoch": epoch, "seconds": round(seconds, 3), "steps_per_second": speed}
        timing["waited_for_data"] = round(waited, 3)
        self._times.append(timing)
        self._behind = state
        began = time.perf_counter()
        if last or self.folder is None or began - self._written >= _SHARE * self._cost:
            self.save(state)
            if self.folder is not None:
                self.write_history(state)
            self._written = time.perf_counter()
            self._cost = self._written - began
            return
        if self._remembers_best and state.best is not None and state.best.epoch == epoch:
            self._held = self._taken(state)
        if began - self._history_written >= _SHARE * self._history_cost:
            self.write_history(state)

    def flush(self) -> None:
        """Write the history of epochs that :meth:`close` held back; for an end by an error, which matters more."""
        if self._behind is not None:
            with contextlib.suppress(check.LensmithError):
                self.write_history(self._behind)

    def _taken(self, state: State) -> _Taken:
        """A copy of everything that a checkpoint holds, which is known to be finite."""
        step = self._earlier.steps + state.step
        arrays = {group: arrays_of(found) for group, found in variables_of(self._model).items()}
        for name, array in arrays["variables"].items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                self.put_back()
                raise self._not_finite(state, f"step {step}, {name}", name)
        content = {
            "state": state.to_dict(),
            "stage": self._earlier.stage,
            "facts": self._facts,
            "backend": keras.config.backend(),
            "threads": backend.threads(),
        }
        return _Taken(step, arrays, content)

    def _not_finite(self, state: State, place: str, name: str) -> divergence.Diverged:
        text = check.sentence(place, "finite numbers", "some that are not")
        epoch = self._earlier.epochs + state.epoch + state.inside
        evidence, advice = f"the weights {name} are no finite numbers any more in epoch {epoch}", "Try a lower rate"
        found = Diagnosis("divergence", epoch, evidence, advice)
        return divergence.Diverged(f"{text}. {self.last_good()}. {advice}", found)

    @property
    def times(self) -> tuple[Mapping[str, Any], ...]:
        """The rows of ``timing.jsonl`` that are of this stage, as far as they are known."""
        return tuple(self._times)

    def begin_metrics(self, *, going_on: bool) -> None:
        """Set the running means of the metrics to what they were in the middle of the epoch, or to nothing."""
        self._model.reset_metrics()
        if going_on:
            put(variables_of(self._model)["metrics"], self._metrics, "metrics of the checkpoint")

    def restore_best(self, best: Best) -> int | None:
        """Put the weights of the best epoch into the model; returns the epoch, or None when they are lost."""
        if self.folder is None:
            put(variables_of(self._model)["variables"], self._best, "best weights")
            return best.epoch
        found = checkpoint.read(self._checkpoints / checkpoint.name_of(best.step))
        if not isinstance(found, Checkpoint):
            _log.warning("the best weights are lost, the last ones stay: %s: %s", found.source, found.reason)
            return None
        variables = variables_of(self._model)
        put(variables["variables"], found.arrays("variables"), str(found.path))
        if averaging.averages(self._model):
            put(variables["optimizer"], found.arrays("optimizer"), str(found.path))
            averaging.lay(self._model)
        return best.epoch

    def put_back(self) -> None:
        """Put the weights of the newest checkpoint into the model, or those that were last kept in memory.

        A best epoch that is not written yet is written first: it is newer, and finite.
        """
        if self._held is not None:
            with contextlib.suppress(check.LensmithError):  # why the loss is no number matters more than the disk
                self._held.write(self._checkpoints)
            self._held = None
        found = checkpoint.latest(self._checkpoints)[0] if self.folder is not None else None
        arrays = self._last if found is None else found.arrays("variables")
        if arrays:
            put(variables_of(self._model)["variables"], arrays, "weights before the loss was no number")

    def last_good(self) -> str:
        """A sentence that names the newest checkpoint."""
        found = checkpoint.listed(self._checkpoints) if self.folder is not None else []
        return f"The last good checkpoint is {found[-1]}" if found else "There is no checkpoint"

    @property
    def _checkpoints(self) -> Path:
        return (self.folder or Path()) / "checkpoints"

    def _go_on(self, found: Checkpoint) -> State:
        self._check_facts(found)
        variables = variables_of(self._model)
        for group in ("variables", "optimizer"):
            put(variables[group], found.arrays(group), f"{found.path}: {group}")
        self._metrics = found.arrays("metrics")
        self._same_conditions(found)
        state = State.from_dict(found.state["state"])
        first, last = self._earlier.epochs, self._earlier.epochs + state.epoch
        times = history.read((self.folder or Path()) / history.TIMING)
        self._times = [row for row in times if first < row["epoch"] <= last]
        self.write_history(state)
        return state

    def _averaged_arrays(self) -> Arrays:
        with averaging.averaged(self._model):
            return arrays_of(variables_of(self._model)["variables"])

    def _is_of_this_stage(self, found: Checkpoint) -> bool:
        """Whether a checkpoint is of this stage, and not of an earlier one."""
        then, now = found.state.get("stage") or 1, self._earlier.stage or 1
        if then > now:
            expected = f"a checkpoint of stage {now} or of an earlier one"
            remedy = "Resume the run with the plan it was begun with"
            raise check.SettingError(check.sentence(str(found.path), expected, f"one of stage {then}", remedy))
        return bool(then == now)

    def _check_facts(self, found: Checkpoint) -> None:
        then, now = _flat(found.state["facts"]), _flat(self._facts)
        for name in sorted(then.keys() | now.keys()):
            if then.get(name) != now.get(name) and name.removeprefix("stage.") not in HOUSEKEEPING:
                expected = f"{then.get(name)!r}, as in {found.path}"
                remedy = "Resume with what the run was begun with, or begin another in another folder"
                raise check.SettingError(check.sentence(f"resume: {name}", expected, repr(now.get(name)), remedy))

    def _same_conditions(self, found: Checkpoint) -> None:
        """The same sums come out only with the same number of threads and the same backend."""
        threads = found.state["threads"]
        if threads != backend.threads():
            _log.warning("using %s threads for an operation, as the run did, instead of %s", threads, backend.threads())
            backend.set_threads(threads)
        if found.state["backend"] != keras.config.backend():
            text = "the run was begun on %s and goes on on %s: it will not end with the same bits"
            _log.warning(text, found.state["backend"], keras.config.backend())

    def write_history(self, state: State) -> None:
        """Write the history up to a state, with the files beside it; does nothing without a folder."""
        if self.folder is None:
            return
        folder, before, began = self.folder, self._earlier.epochs, time.perf_counter()
        seen, times = (
            [row for row in history.read(folder / name) if row["epoch"] <= before]
            for name in (watch.WATCH, history.TIMING)
        )
        try:
            history.write(folder / history.HISTORY, [*self._earlier.rows, *state.rows])
            if seen or state.watched:
                history.write(folder / watch.WATCH, [*seen, *state.watched])
            history.write(folder / history.TIMING, [*times, *self._times])
        except check.LensmithError as error:
            raise check.LensmithError(f"{error}. {self.last_good()}. {checkpoint.then_resume(error)}") from error
        self._behind = None
        self._history_written = time.perf_counter()
        self._history_cost = self._history_written - began


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings by their dotted name."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found
