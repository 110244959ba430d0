"""Everything that decides the next step: taken from a model and put back into it, bit by bit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lensmith import check
from lensmith.backend import keras
from lensmith.train.checkpoint import Arrays
from lensmith.train.history import Best, Row
from lensmith.train.schedules import Memory, Ramp
from lensmith.train.stages import Fit


@dataclass(frozen=True, slots=True)
class State:
    """Where a training run stands, besides its arrays.

    Args:
        epoch: how many epochs of the stage are finished.
        step: how many of its steps have been made.
        position: where in the epoch's batches the next one is; None at the start of an epoch.
        trained: the epoch's training values, when only its validation is still to come.
        rows: the history so far.
        best: the best epoch so far.
        patience: the value that the next epoch has to improve on, if training is not to stop.
        waited: for how many epochs it was not improved on.
        stopped: whether that was too long, or somebody asked to stop.
        memory: what a schedule remembers that goes by what was measured.
        running: the mean loss over the epoch so far and over how many examples it is; None at its start.
        rate: that the last step was made with.
        trace: how the loss went in the epoch, see :mod:`lensmith.train.watch`.
        seen: what was seen of the network before the epoch's first step.
        watched: the rows of ``watch.jsonl`` of the stage.
        dropout: the rates of the dropout layers in force, where they follow the gap.
        callbacks: the states of the callbacks, in their order.
        stopping: whether a callback asked to stop at the end of the epoch.
    """

    epoch: int = 0
    step: int = 0
    position: Mapping[str, Any] | None = None
    trained: Mapping[str, float] | None = None
    rows: tuple[Row, ...] = ()
    best: Best | None = None
    patience: float | None = None
    waited: int = 0
    stopped: bool = False
    memory: Memory = field(default_factory=dict)
    running: tuple[float, int] | None = None
    rate: float = 0.0
    trace: Mapping[str, Any] | None = None
    seen: Mapping[str, Any] | None = None
    watched: tuple[Mapping[str, Any], ...] = ()
    dropout: tuple[float, ...] = ()
    callbacks: tuple[Any, ...] = ()
    stopping: bool = False

    @property
    def inside(self) -> bool:
        """Whether it is inside an epoch."""
        return self.position is not None or self.trained is not None

    def finished(self, stage: Fit) -> bool:
        """Whether nothing is left to do in a stage."""
        if self.stopped or self.epoch < stage.epochs:
            return self.stopped
        ramp = stage.schedule
        return not (isinstance(ramp, Ramp) and ramp.unfinished(self.epoch, stage.epochs, self.memory))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> State:
        read = dict(values)
        for name in ("rows", "watched", "dropout", "callbacks"):
            read[name] = tuple(read.get(name, ()))
        read["best"] = None if read["best"] is None else Best(**read["best"])
        mean = read.get("running")
        read["running"] = None if mean is None else (mean[0], mean[1])
        return State(**read)


def variables_of(model: Any) -> dict[str, list[Any]]:
    """The variables of a compiled model by group; those of metrics exist from the first batch on."""
    optimizer = [] if model.optimizer is None else list(model.optimizer.variables)
    return {"variables": list(model.variables), "optimizer": optimizer, "metrics": list(model.metrics_variables)}


def arrays_of(variables: Sequence[Any]) -> dict[str, np.ndarray]:
    """A copy of each variable's value, by name, in order."""
    return {name: _array(variable) for name, variable in zip(_named(variables), variables, strict=True)}


def put(variables: Sequence[Any], arrays: Arrays, place: str) -> None:
    """Give variables the values they had when ``arrays`` was taken.

    Raises:
        LensmithError: the variables are others than those; names the first that differs.
    """
    found = dict(zip(_named(variables), variables, strict=True))
    if set(found) != set(arrays):
        # Keras numbers layers without a name of their own over the whole process, and seed generators
        # always, so the same model built twice has other numbers: then the order has to tell.
        found = dict(zip(arrays, variables, strict=False))
        _check_names(_named(variables), arrays, place)
    for name, variable in found.items():
        if tuple(variable.shape) != arrays[name].shape:
            expected = f"{name} of shape {arrays[name].shape}"
            raise check.LensmithError(check.sentence(place, expected, tuple(variable.shape)))
    for name, variable in found.items():
        variable.assign(arrays[name])


def seed_layers(model: Any, seed: int, stage: int | None = None) -> None:
    """Give every random layer that has no seed of its own one that follows from ``seed``.

    Without it, dropout on torch draws from a generator of the whole process instead of from its own
    variable, and a resumed run could not go on with the same masks.

    In the second stage of a run and later ones, every random layer begins with a state that follows from the seed and
    the stage's number: the states that earlier stages left are not among the weights that a finished stage leaves.
    """
    generators = list(dict.fromkeys(one for layer in model._flatten_layers() for one in layer._seed_generators))
    if stage is not None and stage > 1:
        states = np.random.SeedSequence([seed, stage]).generate_state(max(len(generators), 1))
        for generator, drawn in zip(generators, states, strict=False):
            if generator.get_config()["seed"] is None:
                generator._initial_seed = int(drawn) >> 1
            generator.state.assign(np.array([int(drawn) >> 1, 0], dtype=generator.state.dtype))
        return
    unseeded = [one for one in generators if one.get_config()["seed"] is None]
    seeds = np.random.SeedSequence(seed).generate_state(len(unseeded)) if unseeded else ()
    for generator, drawn in zip(unseeded, seeds, strict=True):
        generator._initial_seed = int(drawn) >> 1  # below 2**31, which every backend can hold
        generator.state.assign(np.array([generator._initial_seed, 0], dtype=generator.state.dtype))


def _named(variables: Sequence[Any]) -> list[str]:
    """The paths of variables, with their place in front where a path stands twice."""
    paths = [variable.path for variable in variables]
    twice = {path for path, count in Counter(paths).items() if count > 1}
    return [f"{index}:{path}" if path in twice else path for index, path in enumerate(paths)]


def _array(variable: Any) -> np.ndarray:
    value = variable.value
    if keras.backend.standardize_dtype(variable.dtype) == "bfloat16":
        value = keras.ops.cast(value, "float32")  # numpy has no bfloat16; float32 holds each of its values
    with keras.device("cpu"):
        tensor = keras.ops.stop_gradient(keras.ops.convert_to_tensor(value))
    return np.asarray(tensor).copy(order="C")  # on torch the original changes with the next step


def _check_names(here: Sequence[str], there: Iterable[str], place: str) -> None:
    now, then = [_unnumbered(name) for name in here], [_unnumbered(name) for name in there]
    for mine, saved in zip(now, then, strict=False):
        if mine != saved:
            raise check.LensmithError(check.sentence(place, saved, mine))
    if len(now) != len(then):
        raise check.LensmithError(check.sentence(place, f"{len(then)} variables", f"{len(now)}"))


def _unnumbered(name: str) -> str:
    return re.sub(r"_\d+(?=[/_]|$)|^\d+:", "", name)
