"""The user's callbacks: who is called when, with what, and what a resume gives back."""

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from train_digits import CLASSES, Counter, Killer, dense, digits, train_with

from lensmith import check
from lensmith.backend import keras
from lensmith.train import Constant, Fit, Interrupted, Silent
from lensmith.train.callbacks import Callbacks
from lensmith.train.history import Earlier
from lensmith.train.loop import fit


class StopError(BaseException):
    """Ends a run as a kill would."""


def stop() -> None:
    raise StopError


class Recorder(keras.callbacks.Callback):
    """Writes down every call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def on_train_begin(self, logs=None):
        self.calls.append(("train begin", self.params["epochs"], self.params["steps"], self.model is not None))

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(("epoch begin", epoch))

    def on_train_batch_begin(self, batch, logs=None):
        self.calls.append(("begin", batch))

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(("end", batch, sorted(logs)))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("epoch end", epoch, sorted(logs)))

    def on_train_end(self, logs=None):
        self.calls.append("train end")


def trained(callbacks: Any, folder: Path | None = None, **changes: Any) -> Any:
    stage = changes.pop("stage", Fit(epochs=2, schedule=Constant(), checkpoint_every=1))
    arguments: dict[str, Any] = {"objectives": {"digit": CLASSES}, "validation": digits(64, 96, seed=None)}
    return fit(dense(), digits(0, 64), stage=stage, callbacks=callbacks, folder=folder, **arguments, **changes)


def test_who_is_called_when() -> None:
    recorder = Recorder()
    trained([recorder])
    names = ["accuracy", "loss"]
    every = ["accuracy", "loss", "val_accuracy", "val_loss"]
    epochs = [
        [("epoch begin", n), ("begin", 0), ("end", 0, names), ("begin", 1), ("end", 1, names), ("epoch end", n, every)]
        for n in (0, 1)
    ]
    assert recorder.calls == [("train begin", 2, 2, True), *epochs[0], *epochs[1], "train end"]


def test_the_same_numbers_as_keras_gives() -> None:
    class Logs(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(logs["loss"])

    seen: list[float] = []
    trained([Logs()])
    ours, seen = seen, []
    model = dense()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    orders = [list(digits(0, 64).epoch(n)) for n in (0, 1)]
    for order in orders:
        model.fit((batch for batch in order), steps_per_epoch=2, epochs=1, shuffle=False, verbose=0, callbacks=[Logs()])
    assert ours == pytest.approx(seen, rel=1e-6)


def test_a_plain_function_is_told_the_row() -> None:
    told: list[Any] = []
    history = trained([lambda epoch, row, model: told.append((epoch, row, model.count_params()))])
    assert [epoch for epoch, _, _ in told] == [1, 2]
    assert [row for _, row, _ in told] == list(history.rows)


def test_epochs_are_counted_over_all_stages() -> None:
    recorder, told = Recorder(), []
    earlier = Earlier(stage=2, epochs=5, steps=10)
    trained([recorder, lambda epoch, row, model: told.append((epoch, row["epoch"], row["stage"]))], earlier=earlier)
    assert [call[1] for call in recorder.calls if call[0] == "epoch begin"] == [5, 6]
    assert told == [(6, 6, 2), (7, 7, 2)]


def test_only_methods_of_its_own_are_called_in_a_step() -> None:
    class OnlyEpochs(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None): ...

    def callbacks(*them: Any) -> Callbacks:
        return Callbacks(them, dense(), str)

    assert not callbacks(OnlyEpochs()).any_step
    assert callbacks(Recorder()).any_step
    assert not callbacks(keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)).any_step
    assert callbacks(keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)).any_step


def test_stop_training_ends_after_the_epoch() -> None:
    class Stopper(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    history = trained([Stopper()], stage=Fit(epochs=5))
    assert history.stopped and history.epochs == 1 and history.steps == 2


def test_a_request_to_stop_survives_a_kill(tmp_path: Path) -> None:
    class Stopper(keras.callbacks.Callback):
        def __init__(self, asks: bool):
            super().__init__()
            self.asks = asks

        def on_train_batch_begin(self, batch, logs=None):
            self.model.stop_training |= self.asks

    stage = Fit(epochs=5, checkpoint_every=1)
    with pytest.raises(StopError):
        trained([Stopper(True)], tmp_path, stage=stage, progress=Killer(2, stop))
    assert trained([Stopper(False)], tmp_path, stage=stage, resume=True).epochs == 1


def test_its_rate_is_overruled_by_the_schedule() -> None:
    class Faster(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))
            self.model.optimizer.learning_rate = 99.0

    rates: list[float] = []
    history = trained([Faster()])
    assert history["rate"] == [1e-3, 1e-3]
    assert max(loss for loss in history["loss"] if loss is not None) < 10


@pytest.mark.backends
@pytest.mark.parametrize("step", [7, 15])
def test_what_it_remembers_is_in_the_checkpoint(step: int, tmp_path: Path) -> None:
    whole, history = train_with(None, "callback", resume=False)
    with pytest.raises(StopError):
        train_with(tmp_path, "callback,often", progress=Killer(step, stop))
    model, same = train_with(tmp_path, "callback,often")
    assert same.rows == history.rows
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_resuming_inside_an_epoch_calls_its_begin_and_then_gives_back(tmp_path: Path) -> None:
    class Remembering(Recorder):
        def get_state(self):
            return len(self.calls)

        def set_state(self, state):
            self.calls.append(("state", state))

    with pytest.raises(StopError):
        trained([Remembering()], tmp_path, progress=Killer(2, stop))
    again = Remembering()
    trained([again], tmp_path, resume=True)
    # The checkpoint is of step 1: train begin, epoch begin, begin and end of it were 4 calls.
    assert again.calls[:4] == [("train begin", 2, 2, True), ("epoch begin", 0), ("state", 4), ("begin", 1)]


class Beginner(keras.callbacks.Callback):
    """Counts the epochs that begin."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.begun += 1

    def get_state(self):
        return self.begun

    def set_state(self, state):
        self.begun = state


class Between(Silent):
    """Asks to stop when an epoch is done."""

    def on_epoch(self, row, waited):
        signal.raise_signal(signal.SIGTERM)


def test_asked_to_stop_between_two_epochs_no_epoch_begins_twice(tmp_path: Path) -> None:
    stage = Fit(epochs=3, checkpoint_every=1)
    for _ in range(2):
        with pytest.raises(Interrupted):
            trained([Beginner()], tmp_path, stage=stage, resume=True, progress=Between())
    counter = Beginner()
    trained([counter], tmp_path, stage=stage, resume=True)
    assert counter.begun == 3


def test_another_callback_with_a_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StopError):
        trained([Counter()], tmp_path, progress=Killer(2, stop))
    with pytest.raises(check.SettingError, match=r"resume: callbacks: expected \['Counter'\]"):
        trained([], tmp_path, resume=True)


def test_one_that_fails_is_named_with_the_last_checkpoint(tmp_path: Path) -> None:
    class Careless(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            return 1 / 0

    message = (
        r"callback Careless.on_epoch_end: expected no error; got ZeroDivisionError: division by zero\. The last .*"
    )
    with pytest.raises(check.LensmithError, match=message + "step-000001"):
        trained([Careless()], tmp_path)

    def careless(epoch, row, model):
        raise ValueError("no\nway")

    with pytest.raises(check.LensmithError, match="callback careless: expected no error; got ValueError: no way"):
        trained([careless])


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        (Recorder, "Make an object of it: Recorder()"),
        (7, "callbacks[0]: expected a keras.callbacks.Callback or a function"),
    ],
)
def test_what_is_no_callback_is_refused(callback: Any, words: str) -> None:
    with pytest.raises(check.SettingError) as error:
        trained([callback])
    assert words in str(error.value)


def test_a_state_that_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    class Odd(keras.callbacks.Callback):
        def get_state(self):
            return np.ones(2)

        def set_state(self, state): ...

    with pytest.raises(check.LensmithError, match=r"callback Odd\.get_state: expected values that JSON can hold"):
        trained([Odd()], tmp_path)


def test_keras_own_callbacks_work(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=100.0)
    history = trained([keras.callbacks.CSVLogger(str(log)), stopping], stage=Fit(epochs=9))
    assert history.epochs == 2 and history.stopped
    assert log.read_text().startswith("epoch,accuracy,loss,val_accuracy,val_loss")
    assert json.loads(json.dumps(history.rows[0]))["epoch"] == 1
