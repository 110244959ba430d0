"""What goes wrong while training: a loss that is no number, too little memory, and a disk with a limit."""

import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import train_digits
from train_digits import CLASSES, Arrays, dense, digits, train_forgetful

from lensmith import check
from lensmith.backend import keras
from lensmith.train import Constant, Fit, Interrupted, Objective, Silent, divergence, history, store
from lensmith.train.checkpoint import Checkpoint, latest
from lensmith.train.loop import evaluate, fit
from lensmith.train.memory import out_of_memory
from lensmith.train.state import arrays_of

STAGE = Fit(epochs=40, optimizer="sgd", rate=20.0, schedule=Constant(), checkpoint_every=1)
GROWING = {"stage": STAGE, "objectives": {"value": Objective("mse")}}
SQUARES = Arrays(digits(0, 64).x, digits(0, 64).x[:, :10], seed=None)


def finite(model: Any) -> bool:
    return all(np.isfinite(array).all() for array in arrays_of(model.variables).values())


def test_a_rate_that_is_too_high_is_named_and_the_model_put_back(tmp_path: Path) -> None:
    model = dense()
    message = (
        r"epoch \d+, step \d+: .*: the loss grew from \S+ to \S+ over .*: the rate of 20 is too high\. .*checkpoint is"
    )
    with pytest.raises(check.LensmithError, match=message + r".*Try a tenth of the rate, 2$"):
        fit(model, SQUARES, folder=tmp_path, **GROWING)
    found = latest(tmp_path / "checkpoints")[0]
    assert isinstance(found, Checkpoint)
    assert finite(model)
    for a, b in zip(found.arrays("variables").values(), arrays_of(model.variables).values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_a_folder_it_is_put_back_to_the_last_epoch() -> None:
    model = dense()
    with pytest.raises(check.LensmithError, match=r"There is no checkpoint. Try a tenth"):
        fit(model, SQUARES, **GROWING)
    assert finite(model)


def test_nothing_that_is_not_finite_is_ever_saved(tmp_path: Path) -> None:
    with pytest.raises(check.LensmithError):
        fit(dense(), SQUARES, folder=tmp_path, **GROWING)
    for path in (tmp_path / "checkpoints").iterdir():
        found = latest(path.parent)[0]
        assert found is not None and all(np.isfinite(array).all() for array in found.arrays("variables").values())


REASONS = [
    # what is broken, the losses before, and what is said
    ("the targets hold 1 value", [1.0], "the targets hold 1 value"),
    ("", [2.0, 1.0, 3.0], r"the loss grew from 1 to 3 over the last step: the rate of 0\.5 is too high"),
    ("", [1.0, 2.0, 4.0], r"the loss grew from 1 to 4 over the last 2 steps"),
    ("", [1.0, 1.5], r"the data and the weights are finite, and the rate is 0\.5"),
    ("", [], "the data and the weights are finite"),
]


@pytest.mark.parametrize(("found", "losses", "message"), REASONS)
def test_the_reason(found: str, losses: list[float], message: str) -> None:
    reason, remedy = divergence.why(found, losses, 0.5, None)
    assert re.match(message, reason)
    assert remedy.startswith("Put the data right") if found else remedy == "Try a tenth of the rate, 0.05"


def test_the_first_weight_that_is_infinite_is_named() -> None:
    model = dense()
    kernel = model.layers[-1].kernel
    model.layers[1].kernel.assign(np.full((64, 32), math.nan))
    kernel.assign(np.full((32, 10), math.inf))
    assert (
        divergence.why("", [1.0], 0.5, model)[0]
        == f"the weights {kernel.path} are no finite numbers any more, at a rate of 0.5"
    )


def test_targets_are_named_by_their_task() -> None:
    batches = Arrays(digits(0, 64).x, np.where(np.arange(640).reshape(64, 10) == 5, math.inf, 0.0).astype("float32"))
    with pytest.raises(check.LensmithError, match=r"the targets hold 1 value that is no finite number.*Put the data"):
        fit(dense(), batches, stage=Fit(epochs=1), objectives={"value": Objective("mse")})


def test_validation_names_its_batch() -> None:
    unseen = digits(0, 64, seed=None)
    unseen.x[40] = math.nan
    start = keras.Input((64,))
    model = keras.Model(start, keras.layers.Dense(10)(start))
    with pytest.raises(check.LensmithError, match=r"validation: .* x hold 64 values .* in batch 2"):
        fit(model, digits(0, 64), stage=Fit(epochs=1), objectives={"digit": CLASSES}, validation=unseen)


class Hungry(keras.layers.Layer):  # type: ignore[misc]
    """Does not suffice with its memory for more than so many examples."""

    def __init__(self, most: int, error: Exception) -> None:
        super().__init__()
        self.most, self.error = most, error

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor(x.shape, x.dtype)  # Keras would find it out with a batch of its own

    def call(self, x: Any) -> Any:
        if x.shape[0] is not None and x.shape[0] > self.most:
            raise self.error
        return x


def hungry(most: int, error: Exception) -> Any:
    start = keras.Input((64,))
    normed = keras.layers.BatchNormalization()(Hungry(most, error)(start))
    return keras.Model(start, keras.layers.Dense(10)(keras.layers.Dropout(0.2, seed=1)(normed)))


ERRORS = [
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"),
    type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory. Tried to allocate 2.00 GiB"),
    type("XlaRuntimeError", (RuntimeError,), {})("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"),
    type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_too_little_memory_names_a_batch_that_fits(error: Exception) -> None:
    assert out_of_memory(error)
    model = hungry(10, error)
    before = arrays_of(model.variables)
    message = (
        r"epoch 1, step 1: expected enough memory for a step; got too little memory for a batch of 64\."
        r" There is no checkpoint\. Tried 32, 16, 8: 8 fits\. Set batch: 8"
    )
    with pytest.raises(check.LensmithError, match=message):
        fit(model, digits(0, 128, size=64), stage=Fit(epochs=1), objectives={"digit": CLASSES})
    for name, array in arrays_of(model.variables).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_where_nothing_fits_it_says_so() -> None:
    with pytest.raises(check.LensmithError, match=r"Tried 2, 1: none fits. Take smaller images"):
        fit(hungry(0, MemoryError()), digits(0, 8, size=4), stage=Fit(epochs=1), objectives={"digit": CLASSES})


def test_measuring_too() -> None:
    with pytest.raises(check.LensmithError, match=r"evaluation: .* a batch of 64.* 32 fits"):
        evaluate(hungry(40, MemoryError()), digits(0, 64, size=64), {"digit": CLASSES})


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(check.SettingError, match="do not fit the first batch"):
        fit(hungry(1, ZeroDivisionError()), digits(0, 64), stage=Fit(epochs=1), objectives={"digit": CLASSES})


class Ends(Silent):
    """Makes training end inside the fourth epoch, in one of the ways that leave time to write."""

    def __init__(self, model: Any, way: str) -> None:
        self.model, self.way = model, way

    def on_step(self, step: int, *told: Any) -> None:
        if step == 14 and self.way == "no number":
            self.model.layers[-1].bias.assign(np.full(10, math.nan))
        elif step == 14 and self.way == "signal":
            signal.raise_signal(signal.SIGTERM)
        elif step == 14 and self.way == "memory":
            raise MemoryError


def fails_in_the_fourth(epoch: int, row: Any, model: Any) -> None:
    if epoch == 4:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("way", "error"),
    [
        ("no number", divergence.Diverged),
        ("signal", Interrupted),
        ("memory", MemoryError),
        ("callback", check.LensmithError),
    ],
)
def test_the_history_of_finished_epochs_is_never_held_back(
    way: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though epochs are so short that there is no time to write anything after them."""
    monkeypatch.setattr(store, "_SHARE", 1e9)
    model = dense()
    with pytest.raises(error) as ended:
        fit(
            model,
            digits(0, 128),
            stage=Fit(epochs=6),
            objectives={"digit": CLASSES},
            folder=tmp_path,
            progress=Ends(model, way),
            callbacks=[fails_in_the_fourth] if way == "callback" else [],
        )
    for name in ("history.jsonl", "watch.jsonl", "timing.jsonl"):
        assert [row["epoch"] for row in history.read(tmp_path / name)] == [1, 2, 3], name
    if isinstance(ended.value, divergence.Diverged):
        told = ended.value.diagnosis
        assert (told.kind, told.epoch) == ("divergence", 4)
        assert told.evidence.startswith("the loss is nan in epoch 4: ")
        assert told.advice == "Try a tenth of the rate, 3.1e-05"


LIMITED = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from train_digits import Killer, train_forgetful
from lensmith import check
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing fails as on a full disk
limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    train_forgetful(Path(sys.argv[1]), progress=Killer(10, limit))
except check.LensmithError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the size of files, which Windows cannot")
def test_a_process_that_may_not_write_more_loses_nothing(tmp_path: Path) -> None:
    program = LIMITED.format(folder=str(Path(train_digits.__file__).parent))
    command = [sys.executable, "-c", program, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ), timeout=120)
    assert "could not write" in done.stdout and "file too large" in done.stdout, done.stdout + done.stderr
    assert "the last good one is step-000008" in done.stdout
    assert not list((tmp_path / "run" / "checkpoints").glob(".*"))
    train_forgetful(tmp_path / "run")
    train_forgetful(tmp_path / "whole")
    assert (tmp_path / "run" / "history.jsonl").read_bytes() == (tmp_path / "whole" / "history.jsonl").read_bytes()
