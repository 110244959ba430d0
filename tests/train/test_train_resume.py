"""A run that was killed, interrupted or damaged ends with the bits of a run that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import train_digits
from train_digits import CLASSES, STEPS, Killer, dense, digits, forgetful, train_forgetful

from lensmith import backend, check, files
from lensmith.backend import keras
from lensmith.train import Constant, Fit, Interrupted, Patience, Silent, checkpoint, fit
from lensmith.train.state import arrays_of


class Stop(BaseException):
    """Ends a run as a kill would: nothing is caught, nothing is written."""


def stopper() -> None:
    raise Stop


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was left alone."""
    folder = tmp_path_factory.mktemp("untouched")
    train_forgetful(folder)
    return folder


def assert_equal(folder: Path, untouched: Path) -> None:
    """History and newest checkpoint of two runs are equal to the last bit."""
    assert (folder / "history.jsonl").read_bytes() == (untouched / "history.jsonl").read_bytes()
    mine, theirs = (checkpoint.latest(path / "checkpoints")[0] for path in (folder, untouched))
    assert mine is not None and theirs is not None
    assert mine.state["state"] == theirs.state["state"]
    for group in ("variables", "optimizer"):
        for (name, a), b in zip(mine.arrays(group).items(), theirs.arrays(group).values(), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def child(folder: Path, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, train_digits.__file__, str(folder), str(kill_at)]
    environment = os.environ | {"OMP_NUM_THREADS": str(backend.threads())}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)


def test_killed_twice_in_processes_of_their_own(tmp_path: Path, untouched: Path) -> None:
    first, second = sorted(random.Random(7).sample(range(1, STEPS), 2))
    assert child(tmp_path, first).returncode == -signal.SIGKILL
    assert child(tmp_path, second).returncode == -signal.SIGKILL
    done = child(tmp_path)
    assert done.returncode == 0, done.stderr
    assert_equal(tmp_path, untouched)
    # The process also left its final weights, which are those of the best epoch, in a run of its own too.
    final = np.load(tmp_path / "final.npz")
    best = json.loads((untouched / "history.jsonl").read_text().splitlines()[-1])["epoch"] * 10
    expected = checkpoint.read(untouched / "checkpoints" / checkpoint.name_of(best)).arrays("variables")
    for a, b in zip(final.values(), expected.values(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("step", [1, 3, 4, 5, 9, 10, 11, 17, 20, 29, 30])
def test_stopped_at_any_step(step: int, tmp_path: Path, untouched: Path) -> None:
    with pytest.raises(Stop):
        train_forgetful(tmp_path, progress=Killer(step, stopper))
    train_forgetful(tmp_path)
    assert_equal(tmp_path, untouched)


def test_stopped_between_any_two_files(tmp_path: Path, untouched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended in the middle of writing a checkpoint, at one place after another, until it goes through."""
    write, left = files._write, 0

    def failing(path: Path, content: bytes) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            path.write_bytes(content[: len(content) // 2])
            raise Stop
        write(path, content)

    monkeypatch.setattr(files, "_write", failing)
    for left in (0, 3, 5, 8, 12, 14, 1000):  # noqa: B007 (read in `failing`)
        try:
            train_forgetful(tmp_path)
        except Stop:
            assert list((tmp_path / "checkpoints").glob(".writing-*"))
    assert not list((tmp_path / "checkpoints").glob(".*"))
    assert_equal(tmp_path, untouched)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("step", [1, 10, 14])
def test_a_signal_finishes_the_step_and_saves(step: int, number: int, tmp_path: Path, untouched: Path) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=rf"after step {step}\. Everything is saved in .*; resume to go on"):
        train_forgetful(tmp_path, progress=Killer(step, lambda: signal.raise_signal(number)))
    assert signal.getsignal(number) is before
    assert (tmp_path / "checkpoints" / checkpoint.name_of(step)).exists()
    train_forgetful(tmp_path)
    assert_equal(tmp_path, untouched)


def test_a_signal_during_validation_saves_the_epoch(tmp_path: Path, untouched: Path) -> None:
    unseen = digits(300, 400, seed=None)

    class Signalling(train_digits.Arrays):
        def epoch(self, number: int):
            signal.raise_signal(signal.SIGTERM)
            return super().epoch(number)

    interrupting = Signalling(unseen.x, unseen.y, unseen.size, unseen.seed)
    with pytest.raises(Interrupted, match="in epoch 1 after step 10"):
        train_forgetful(tmp_path, validation=interrupting)
    assert (tmp_path / "history.jsonl").exists() is False
    train_forgetful(tmp_path)
    assert_equal(tmp_path, untouched)


def test_a_signal_before_the_first_step_of_a_resumed_run_loses_nothing(tmp_path: Path, untouched: Path) -> None:
    with pytest.raises(Stop):
        train_forgetful(tmp_path, progress=Killer(6, stopper))

    class AtStart(Silent):
        def on_start(self, epochs: int, steps: int, done: int) -> None:
            assert done == 4
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match="after step 4"):
        train_forgetful(tmp_path, progress=AtStart())
    train_forgetful(tmp_path)
    assert_equal(tmp_path, untouched)


def test_a_second_signal_ends_at_once() -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(dense(), digits(0, 64), stage=Fit(), objectives={"digit": CLASSES}, progress=Killer(1, twice))


def test_interrupted_without_a_folder_says_that_nothing_was_saved() -> None:
    progress = Killer(1, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(Interrupted, match="nothing was saved, as no folder was given"):
        fit(dense(), digits(0, 64), stage=Fit(), objectives={"digit": CLASSES}, progress=progress)


def test_trains_in_a_thread_where_signals_cannot_be_handled() -> None:
    found = []
    arguments = {"stage": Fit(epochs=1), "objectives": {"digit": CLASSES}}
    thread = threading.Thread(target=lambda: found.append(fit(dense(), digits(0, 64), **arguments)))
    thread.start()
    thread.join()
    assert len(found[0].rows) == 1


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    model, history = train_forgetful(tmp_path)

    def never() -> None:
        raise AssertionError("a step was made")

    again, same = train_forgetful(tmp_path, progress=Killer(31, never))
    assert same == history
    for name, array in arrays_of(model.variables).items():
        del name
        assert any(np.array_equal(array, other) for other in arrays_of(again.variables).values())


def test_early_stopping_survives(tmp_path: Path) -> None:
    stage = Fit(epochs=30, rate=3e-2, stop=Patience("val_loss", patience=2), checkpoint_every=3)
    train_forgetful(tmp_path / "a", stage=stage)
    with pytest.raises(Stop):
        train_forgetful(tmp_path / "b", stage=stage, progress=Killer(38, stopper))
    _, history = train_forgetful(tmp_path / "b", stage=stage)
    assert history.stopped
    assert_equal(tmp_path / "b", tmp_path / "a")


def test_the_seed_alone_decides(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    _, first = train_forgetful(None, resume=False)
    keras.utils.set_random_seed(2)
    _, second = train_forgetful(None, resume=False)
    assert first == second


@pytest.mark.skipif(backend.threads() is None, reason="this backend does not let the number of threads be set")
def test_the_number_of_threads_belongs_to_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = backend.threads()
    try:
        backend.set_threads(1)
        train_forgetful(tmp_path / "a")
        with pytest.raises(Stop):
            train_forgetful(tmp_path / "b", progress=Killer(15, stopper))
        backend.set_threads(2)
        train_forgetful(tmp_path / "b")
        assert backend.threads() == 1
    finally:
        backend.set_threads(before)
    assert "using 1 threads for an operation, as the run did, instead of 2" in caplog.text
    assert_equal(tmp_path / "b", tmp_path / "a")


DIFFERENT = [
    ({"stage": Fit(epochs=4, rate=3e-3, schedule=train_digits.STAGE.schedule)}, "stage.epochs: expected 3"),
    ({"stage": Fit(epochs=3, rate=3e-3, schedule=Constant())}, "stage.schedule.by: expected 'step'"),
    ({"validation": digits(300, 380, seed=None)}, "resume: validation: expected"),
    ({"objectives": {"label": CLASSES}}, "objectives.digit"),
]


@pytest.mark.parametrize(("changes", "message"), DIFFERENT, ids=lambda value: value if isinstance(value, str) else "")
def test_resuming_with_something_else_is_refused(changes: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train_forgetful(tmp_path, progress=Killer(2, stopper))
    with pytest.raises(check.SettingError, match=message):
        train_forgetful(tmp_path, **changes)


def test_what_changes_no_number_may_change(tmp_path: Path, untouched: Path) -> None:
    from dataclasses import replace

    with pytest.raises(Stop):
        train_forgetful(tmp_path, progress=Killer(15, stopper))
    train_forgetful(tmp_path, stage=replace(train_digits.STAGE, checkpoint_every=7, keep=1))
    assert_equal(tmp_path, untouched)
    assert len(checkpoint.listed(tmp_path / "checkpoints")) == 1


def test_another_model_is_refused_by_name(tmp_path: Path) -> None:
    arguments = {"stage": Fit(epochs=1), "objectives": {"digit": CLASSES}, "folder": tmp_path, "resume": True}
    fit(dense(hidden=32), digits(0, 64), **arguments)
    with pytest.raises(check.LensmithError, match=r"hidden/kernel of shape \(64, 32\); got \(64, 16\)"):
        fit(dense(hidden=16), digits(0, 64), **arguments)
    with pytest.raises(check.LensmithError, match="expected hidden/kernel; got conv/kernel"):
        fit(forgetful(), digits(0, 64), **arguments)


def test_a_folder_with_a_run_is_not_begun_in(tmp_path: Path) -> None:
    train_forgetful(tmp_path)
    with pytest.raises(check.SettingError, match=r"expected a folder without checkpoints; got step-000030\. Resume it"):
        train_forgetful(tmp_path, resume=False)


def test_resuming_needs_a_folder() -> None:
    with pytest.raises(check.SettingError, match="resume: expected a folder"):
        train_forgetful(None)


def test_the_random_state_of_keras_does_not_leak_in(tmp_path: Path) -> None:
    """A dropout without a seed draws from its own variable, not from a generator of the process."""
    model, _ = train_forgetful(tmp_path)
    states = [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
    assert len(states) == 0 or all(int(arrays_of([state]).popitem()[1][1]) > 0 for state in states)
    drops = [layer for layer in model.layers if layer.name.startswith("drop")]
    assert [layer.seed_generator.get_config()["seed"] is None for layer in drops] == [False, False]
