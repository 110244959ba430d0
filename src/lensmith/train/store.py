"""A stage's folder: beginning in it, saving to it, and coming back to it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.train import checkpoint, history
from lensmith.train.checkpoint import Arrays, Checkpoint
from lensmith.train.history import Best
from lensmith.train.stages import HOUSEKEEPING
from lensmith.train.state import State, arrays_of, put, variables_of

_log = logging.getLogger("lensmith.train")


class Store:
    """Where a stage is written, and read again when it is resumed.

    Args:
        folder: of the stage; None keeps only the best weights, in memory.
        model: the compiled model that is trained.
        facts: what the stage was begun with; resuming with anything else is refused.
        keep: how many of the newest checkpoints to keep.
        remembers_best: whether :meth:`restore_best` will be asked for.
    """

    def __init__(
        self, folder: Path | None, model: Any, facts: Mapping[str, Any], *, keep: int, remembers_best: bool
    ) -> None:
        self.folder = folder
        self._model = model
        self._facts = json.loads(json.dumps(facts, default=str))
        self._keep = keep
        self._remembers_best = remembers_best
        self._best: Arrays = {}
        self._metrics: Arrays = {}

    def begin(self, *, resume: bool) -> State:
        """The state to go on from; the model and its optimizer are put into it.

        Raises:
            SettingError: there is something in the folder and it is not to be resumed, or no folder.
            LensmithError: the folder holds another run, or none of its checkpoints is whole.
        """
        if self.folder is None:
            if resume:
                raise check.SettingError(check.sentence("resume", "a folder to resume from", "none"))
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
        if found is not None:
            return self._go_on(found)
        if broken:
            raise check.LensmithError(f"none of the checkpoints in {self._checkpoints} is whole; begin anew")
        # From here on a kill loses nothing, not even the initial weights.
        self.save(State())
        return State()

    def save(self, state: State) -> None:
        """Write a checkpoint of the model as it is now, then delete the ones no longer kept.

        Raises:
            LensmithError: a weight is not a finite number, or the disk refuses. The last checkpoint
                stays as it is.
        """
        variables = variables_of(self._model)
        if self.folder is None:
            if self._remembers_best and state.best is not None and state.best.step == state.step:
                self._best = arrays_of(variables["variables"])
            return
        arrays = {group: arrays_of(found) for group, found in variables.items()}
        for name, array in arrays["variables"].items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                place = f"step {state.step}, {name}"
                text = check.sentence(place, "finite numbers", "some that are not")
                raise check.LensmithError(f"{text}. {self.last_good()}. Try a lower rate")
        content = {
            "state": state.to_dict(),
            "facts": self._facts,
            "backend": keras.config.backend(),
            "threads": backend.threads(),
        }
        written = checkpoint.write(self._checkpoints, state.step, arrays, content)
        best = [] if state.best is None else [checkpoint.name_of(state.best.step)]
        checkpoint.prune(self._checkpoints, newest=written, keep=self._keep, also=best)

    def record(self, state: State, *, seconds: float, steps: int, waited: float) -> None:
        """Write the history, and how long its newest epoch took, and what part of it data were waited for.

        The history holds no time of day and no speed, so that a resumed run's is equal to the byte to
        that of one never stopped; these go to a file of their own.
        """
        if self.folder is None:
            return
        speed = round(steps / seconds, 3)
        timing = {"epoch": state.epoch, "seconds": round(seconds, 3), "steps_per_second": speed}
        timing["waited_for_data"] = round(waited, 3)
        self._write_history(state, timing)

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
        put(variables_of(self._model)["variables"], found.arrays("variables"), str(found.path))
        return best.epoch

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
        self._write_history(state)
        return state

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

    def _write_history(self, state: State, *timing: Mapping[str, Any]) -> None:
        folder = self.folder or Path()
        earlier = [row for row in history.read(folder / history.TIMING) if row["epoch"] <= state.epoch]
        try:
            history.write(folder / history.HISTORY, state.rows)
            history.write(folder / history.TIMING, [*earlier, *timing])
        except check.LensmithError as error:
            raise check.LensmithError(f"{error}. {self.last_good()}. {checkpoint.then_resume(error)}") from error


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings by their dotted name."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found
