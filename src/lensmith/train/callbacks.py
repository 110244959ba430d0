"""The user's own callbacks: Keras' kind, which are called at train, epoch and step begin and end, and plain functions.

A Keras callback is an object of ``keras.callbacks.Callback``. Called are ``set_model`` and ``set_params`` (``epochs``,
``steps``, ``verbose``), ``on_train_begin`` and ``on_train_end``, ``on_epoch_begin`` and ``on_epoch_end``, and
``on_train_batch_begin`` and ``on_train_batch_end``, with what Keras gives them: epochs and steps of the epoch count
from 0 (epochs over all stages of a run), ``logs`` are the means over the epoch so far, and at its end the values of
validation with ``val_`` in front. In a step only methods that the callback has of its own are called. A callback that
sets ``model.stop_training`` ends the stage after the epoch. A learning rate that it sets is overruled before the next
step: the schedule is part of the stage. Where the stage averages weights, the model has the weights themselves while
callbacks are called, until ``on_train_end``.

A plain function ``(epoch, row, model)`` is called after each epoch with its number from 1 and its row of the history.

**Resuming.** Training goes on from a checkpoint, so that steps after it, and the calls belonging to them, are made
again: what a callback wrote then is written twice. A callback that remembers something gives it in ``get_state()``,
as values that JSON can hold, and is given it back by ``set_state(state)``; it is part of each checkpoint. In the
process that resumes, ``set_model``, ``set_params`` and ``on_train_begin`` are called as in any other; where the
checkpoint is from inside an epoch, ``on_epoch_begin`` of that epoch is called again; then ``set_state``, which so
has the last word. A stage that was finished calls nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.train.history import Row

Values = Callable[[], Mapping[str, float]]


class Callbacks:
    """Several callbacks as one.

    Args:
        callbacks: Keras callbacks and functions of ``(epoch, row, model)``, called in this order.
        model: the model that is trained.
        last_good: a sentence that says where the last checkpoint is.

    Raises:
        SettingError: one of them is neither.
    """

    def __init__(self, callbacks: Sequence[Any], model: Any, last_good: Callable[[], str]) -> None:
        self._all = tuple(_checked(callback, place) for place, callback in enumerate(callbacks))
        self._keras = [one for one in self._all if isinstance(one, keras.callbacks.Callback)]
        self._remembering = [one for one in self._all if hasattr(one, "get_state")]
        self._model = model
        self._last_good = last_good
        self._step_begin = self._own("on_train_batch_begin", "on_batch_begin")
        self._step_end = self._own("on_train_batch_end", "on_batch_end")
        self._pending: Sequence[Any] = ()

    @property
    def names(self) -> list[str]:
        """Of those that have a state, which a resumed run has to have too."""
        return [_name(one) for one in self._remembering]

    @property
    def any_step(self) -> bool:
        """Whether something is to be called in each step."""
        return bool(self._step_begin or self._step_end)

    def taken(self) -> dict[str, Any]:
        """What a checkpoint has to hold of them, by field of the state.

        Raises:
            LensmithError: a state is nothing that JSON can hold.
        """
        states = []
        for one in self._remembering:
            state = self._call(one, "get_state")
            try:
                states.append(json.loads(json.dumps(state)))
            except (TypeError, ValueError) as error:
                place = f"callback {_name(one)}.get_state"
                text = check.sentence(place, "values that JSON can hold", str(error))
                raise check.LensmithError(f"{text}. {self._last_good()}") from error
        stopping = bool(getattr(self._model, "stop_training", False))
        return {"callbacks": tuple(states), "stopping": stopping}

    def begin(self, epochs: int, steps: int, states: Sequence[Any], *, inside: bool, stopping: bool) -> None:
        """Training begins, or goes on.

        Args:
            epochs: of the stage.
            steps: of an epoch.
            states: of the callbacks, from the checkpoint; none at the start.
            inside: whether the checkpoint is from inside an epoch.
            stopping: whether one of them had asked to stop.
        """
        for one in self._keras:
            self._call(one, "set_params", {"verbose": 0, "epochs": epochs, "steps": steps})
            self._call(one, "set_model", self._model)
        self._model.stop_training = False
        for one in self._keras:
            self._call(one, "on_train_begin", {})
        self._model.stop_training = stopping
        self._pending = states
        if not inside:
            self._give_back()

    def begin_epoch(self, epoch: int) -> None:
        """An epoch begins, or goes on in another process; it counts from 0."""
        for one in self._keras:
            self._call(one, "on_epoch_begin", epoch, {})
        self._give_back()

    def begin_step(self, step: int) -> None:
        for one in self._step_begin:
            self._call(one, "on_train_batch_begin", step, {})

    def end_step(self, step: int, values: Values) -> None:
        if self._step_end:
            logs = dict(values())
            for one in self._step_end:
                self._call(one, "on_train_batch_end", step, dict(logs))

    def end_epoch(self, row: Row, values: Mapping[str, float]) -> bool:
        """An epoch with its validation is done; returns whether somebody asked to stop."""
        number = int(row["epoch"] or 0)
        for one in self._all:
            if isinstance(one, keras.callbacks.Callback):
                self._call(one, "on_epoch_end", number - 1, dict(values))
            else:
                self._call(one, "", number, dict(row), self._model)
        return bool(self._model.stop_training)

    def end(self, row: Row | None) -> None:
        """Training has come to its end, and the model has its last weights."""
        logs = {name: value for name, value in (row or {}).items() if name not in ("epoch", "stage", "rate", "dropout")}
        for one in self._keras:
            self._call(one, "on_train_end", dict(logs))

    def _give_back(self) -> None:
        for one, state in zip(self._remembering, self._pending, strict=False):
            self._call(one, "set_state", state)
        self._pending = ()

    def _own(self, *methods: str) -> list[Any]:
        """The callbacks that have one of these methods of their own."""
        return [one for one in self._keras if any(_overrides(one, method) for method in methods)]

    def _call(self, callback: Any, method: str, *arguments: Any) -> Any:
        try:
            return (getattr(callback, method) if method else callback)(*arguments)
        except Exception as error:
            place = f"callback {_name(callback)}" + (f".{method}" if method else "")
            got = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise check.LensmithError(f"{check.sentence(place, 'no error', got)}. {self._last_good()}") from error


def _checked(callback: Any, place: int) -> Any:
    if isinstance(callback, keras.callbacks.Callback):
        return callback
    if callable(callback) and not isinstance(callback, type):
        return callback
    expected = "a keras.callbacks.Callback or a function of (epoch, row, model)"
    remedy = f"Make an object of it: {callback.__name__}()" if isinstance(callback, type) else ""
    raise check.SettingError(check.sentence(f"callbacks[{place}]", expected, repr(callback), remedy))


def _overrides(callback: Any, method: str) -> bool:
    mine, base = getattr(callback, method), getattr(keras.callbacks.Callback, method)
    return getattr(mine, "__func__", mine) is not base


def _name(callback: Any) -> str:
    return str(getattr(callback, "__name__", None) or type(callback).__name__)
