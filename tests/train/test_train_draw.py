"""Draws of initial weights: the best one is kept, and a kill at any moment changes nothing."""

from __future__ import annotations

import io
import math
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from train_digits import CLASSES, Arrays, dense, digits, forgetful

from lensmith import check, files
from lensmith.backend import keras
from lensmith.train import Draw, Interrupted, RichProgress, Silent, evaluate
from lensmith.train.draw import Drawn, draw
from lensmith.train.draw_store import DRAWS, WEIGHTS

STAGE = Draw(draws=3, steps=4, rate=1e-3)


def batches() -> Arrays:
    return digits(0, 96, size=32, seed=1)  # three an epoch: the fourth step sees the first again


def run(folder: Path | None = None, *, build: Any = forgetful, stage: Draw = STAGE, **changes: Any) -> Drawn:
    arguments = {"objectives": {"digit": CLASSES}, "seed": 7} | changes
    return draw(build, arguments.pop("batches", batches()), stage=stage, folder=folder, **arguments)


@pytest.fixture(scope="module")
def expected() -> Drawn:
    """The draws as they are without a folder and without a kill."""
    return run()


def weights(model: Any) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in model.variables]


def same(found: Drawn, expected: Drawn) -> None:
    assert (found.best, found.seed) == (expected.best, expected.seed)
    np.testing.assert_array_equal(found.losses, expected.losses)
    for one, other in zip(weights(found.model), weights(expected.model), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_best_draw_is_kept_with_the_weights_it_had(tmp_path: Path) -> None:
    seen: list[int] = []
    found = run(tmp_path, build=lambda seed: seen.append(seed) or dense(seed=seed))
    seeds = list(dict.fromkeys(seen))
    assert seeds[0] == 7 and len(seeds) == 3 and found.seed == seeds[found.best]
    assert found.losses[found.best] == min(found.losses) and len(set(found.losses)) == 3
    # The loss is that of the weights it comes with, on the batches of the first epoch.
    again = evaluate(found.model, batches(), {"digit": CLASSES})["loss"]
    assert again == pytest.approx(found.losses[found.best], rel=1e-6)
    assert again < evaluate(dense(seed=found.seed), batches(), {"digit": CLASSES})["loss"], "after some training"


@pytest.mark.backends
def test_the_same_again_and_with_a_folder(tmp_path: Path, expected: Drawn) -> None:
    same(run(tmp_path / "a"), expected)
    same(run(tmp_path / "a"), expected)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [WEIGHTS, DRAWS]


class Stopped(BaseException):
    """In place of a kill."""


class Killer(Silent):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, step: int, values: Any, waited: float) -> None:
        if step == self.step:
            raise Stopped


@pytest.mark.backends
@pytest.mark.parametrize("step", [2, 5, 12])  # in the first, the second and the third draw
def test_killed_in_a_draw_and_called_again(tmp_path: Path, step: int, expected: Drawn) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, progress=Killer(step))
    begun: list[int] = []
    found = run(tmp_path, build=lambda seed: begun.append(seed) or forgetful(seed))
    same(found, expected)
    assert len(begun) == 3 - (step - 1) // 4 + 1, "finished draws are not made again; the best is put together"


@pytest.mark.parametrize("write", range(1, 6))
def test_killed_between_two_files(tmp_path: Path, write: int, monkeypatch: pytest.MonkeyPatch, expected: Drawn) -> None:
    written: list[Path] = []
    put_file = files.put_file

    def put(path: Path, fill: Any) -> None:
        written.append(path)
        if len(written) == write:
            raise Stopped
        put_file(path, fill)

    monkeypatch.setattr("lensmith.train.draw_store.put_file", put)
    try:
        run(tmp_path)
    except Stopped:
        assert len(written) == write
    monkeypatch.undo()
    same(run(tmp_path), expected)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = [(name, damage) for name in (DRAWS, WEIGHTS) for damage in (cut, flip, Path.unlink)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of finished draws."""
    folder = tmp_path_factory.mktemp("draws")
    run(folder)
    return folder


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_what_is_damaged_is_drawn_again(
    tmp_path: Path, name: str, damage: Any, caplog: Any, finished: Path, expected: Drawn
) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / name)
    same(run(tmp_path), expected)
    assert (name in caplog.text) == (name == DRAWS and damage is not Path.unlink)
    begun: list[int] = []
    same(run(tmp_path, build=lambda seed: begun.append(seed) or forgetful(seed)), expected)
    assert len(begun) == 1, "whole again"


def broken(seed: int) -> Any:
    """A network without a finite output, for even seeds."""
    model = dense(seed=seed)
    if seed % 2 == 0:
        model.layers[1].kernel.assign(np.full((64, 32), np.nan))
    return model


def test_a_draw_that_is_not_finite_is_passed_over(tmp_path: Path) -> None:
    found = run(tmp_path, build=broken, seed=8, stage=Draw(draws=6, steps=2, rate=1e-3))
    assert math.isnan(found.losses[0]) and found.seed % 2 == 1
    assert found.losses[found.best] == min(loss for loss in found.losses if not math.isnan(loss))
    same(run(tmp_path, build=broken, seed=8, stage=Draw(draws=6, steps=2, rate=1e-3)), found)


def test_no_finite_draw_at_all(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(check.LensmithError) as caught:
            run(tmp_path, build=lambda seed: broken(0))
        expected = "draw: expected a draw that ends with a finite loss; got none of 3. Try a rate lower than 0.001"
        assert str(caught.value).startswith(expected)


CHANGES = [
    ({"seed": 8}, "draw: seed: expected 7"),
    ({"stage": Draw(draws=4, steps=4, rate=1e-3)}, "draw: draws: expected 3"),
    ({"stage": Draw(draws=3, steps=5, rate=1e-3)}, "draw: steps: expected 4"),
    ({"stage": Draw(draws=3, steps=4, rate=1e-2)}, "draw: rate: expected 0.001"),
    ({"batches": digits(0, 64)}, "draw: batches: expected"),
]


@pytest.mark.parametrize(("changes", "message"), CHANGES, ids=[message for _, message in CHANGES])
def test_other_draws_in_the_folder_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    run(tmp_path, build=lambda seed: dense(seed=seed))
    with pytest.raises(check.SettingError) as caught:
        run(tmp_path, **changes)
    assert str(caught.value).startswith(message) and "begin others in another folder" in str(caught.value)


def test_no_batches() -> None:
    with pytest.raises(check.DataError, match="no batches"):
        run(batches=digits(0, 0))


def test_asked_to_stop_it_keeps_the_finished_draws(tmp_path: Path, expected: Drawn) -> None:
    class Asker(Silent):
        def on_step(self, step: int, values: Any, waited: float) -> None:
            if step == 6:
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match="SIGTERM: draw 2 was given up after step 2; finished draws are kept"):
        run(tmp_path, progress=Asker())
    same(run(tmp_path), expected)


def test_who_watches_is_told(tmp_path: Path) -> None:
    told: list[Any] = []

    class Watcher(Silent):
        def on_start(self, epochs: int, steps: int, done: int) -> None:
            told.append((epochs, steps, done))

        def on_step(self, step: int, values: Any, waited: float) -> None:
            assert math.isfinite(values()["loss"])
            told.append(step)

        def on_epoch(self, row: Any, waited: float) -> None:
            told.append(dict(row))

        def on_end(self) -> None:
            told.append("end")

    losses = run(
        build=lambda seed: dense(seed=seed), stage=Draw(draws=2, steps=2, rate=1e-3), progress=Watcher()
    ).losses
    rows = [{"epoch": number, "loss": loss, "rate": 1e-3} for number, loss in enumerate(losses, start=1)]
    assert told == [(2, 2, 0), 1, 2, rows[0], 3, 4, rows[1], "end"]


def test_what_is_shown_are_draws() -> None:
    text = io.StringIO()
    progress = RichProgress(Console(file=text, width=100))
    run(build=lambda seed: dense(seed=seed), stage=Draw(draws=2, steps=2, rate=1e-3), progress=progress)
    assert [line.split("  ")[0] for line in text.getvalue().splitlines()] == ["draw 1/2", "draw 2/2"]
