"""Checkpoints are whole or absent, and damage is found and named."""

import contextlib
import errno
import logging
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from train_digits import OPTIONS, STAGE, Arrays, Killer, digits, train_forgetful, train_with

from lensmith import check, files
from lensmith.backend import keras
from lensmith.train import checkpoint, history, store
from lensmith.train.progress import Silent
from lensmith.train.state import arrays_of, put


class StopError(BaseException):
    """Ends a run as a kill would."""


def stop() -> None:
    raise StopError


NOTHING: dict[str, dict[str, np.ndarray]] = {group: {} for group in checkpoint.GROUPS}


def arrays(value: float = 1.0) -> dict[str, dict[str, np.ndarray]]:
    return NOTHING | {
        "variables": {"b/kernel": np.full((2, 3), value, "float32"), "a/state": np.array([7, 1], "uint32")}
    }


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = checkpoint.write(tmp_path, 420, arrays(), {"x": [1, None, 0.1]})
    assert path.name == "step-000420"
    found, broken = checkpoint.latest(tmp_path)
    assert found is not None and broken == ()
    assert found.state["x"] == [1, None, 0.1]
    assert list(found.arrays("variables")) == ["b/kernel", "a/state"]  # in their order, not the alphabet's
    assert found.arrays("variables")["a/state"].dtype == np.uint32


DTYPES = st.sampled_from(["float32", "float16", "float64", "int64", "int32", "uint32", "uint8", "bool"])


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, max_side=3)))
def test_any_array_comes_back_to_the_bit(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("any")
    groups = NOTHING | {"optimizer": {"plain": array, "turned": array.T}}
    found = checkpoint.read(checkpoint.write(folder, 1, groups, {}))
    assert isinstance(found, checkpoint.Checkpoint)
    for name, expected in groups["optimizer"].items():
        back = found.arrays("optimizer")[name]
        assert back.dtype == expected.dtype and back.shape == expected.shape
        assert back.tobytes() == expected.tobytes()


def test_replaces_one_of_the_same_step(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        path = checkpoint.write(tmp_path, 5, arrays(value), {})
    assert [found.name for found in tmp_path.iterdir()] == ["step-000005"]
    assert checkpoint.read(path).arrays("variables")["b/kernel"][0, 0] == 2.0


def test_replaces_one_with_a_stray_file(tmp_path: Path) -> None:
    path = checkpoint.write(tmp_path, 5, arrays(1.0), {})
    (path / "notes.txt").touch()
    checkpoint.write(tmp_path, 5, arrays(2.0), {})
    assert not (path / "notes.txt").exists()
    assert checkpoint.read(path).arrays("variables")["b/kernel"][0, 0] == 2.0


def test_one_that_stepped_aside_is_found_again(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, 4, arrays(), {})
    checkpoint.write(tmp_path, 5, arrays(), {}).rename(tmp_path / ".replaced-step-000005")
    found, broken = checkpoint.latest(tmp_path)
    assert found is not None and found.path.name == "step-000005" and broken == ()


def test_a_run_whose_only_checkpoint_stepped_aside_is_not_begun_anew(finished: Path, tmp_path: Path) -> None:
    newest = checkpoint.listed(finished / "checkpoints")[-1]
    shutil.copytree(newest, tmp_path / "checkpoints" / f".replaced-{newest.name}")
    with pytest.raises(check.SettingError, match=f"expected a folder without checkpoints; got {newest.name}"):
        train_forgetful(tmp_path, resume=False)


def test_steps_are_sorted_as_numbers(tmp_path: Path) -> None:
    for step in (999_999, 1_000_000, 2):
        checkpoint.write(tmp_path, step, NOTHING, {})
    assert [checkpoint.step_of(path) for path in checkpoint.listed(tmp_path)] == [2, 999_999, 1_000_000]


def test_prune_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    paths = [checkpoint.write(tmp_path, step, NOTHING, {}) for step in (1, 2, 3, 4, 9)]
    checkpoint.prune(tmp_path, newest=paths[3], keep=2, also=["step-000001"])
    # Step 9 is later than the newest: it was broken and passed over.
    assert [path.name for path in checkpoint.listed(tmp_path)] == ["step-000001", "step-000003", "step-000004"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


FILES = ("variables.safetensors", "optimizer.safetensors", "metrics.safetensors", "state.json", "checksums.json")
REASONS = {flip: "not what was written", cut: "not what was written", Path.unlink: "is missing"}
DAMAGE = {
    f"{name}: {act.__name__}": (lambda path, name=name, act=act: act(path / name), reason)
    for name in FILES
    for act, reason in REASONS.items()
}
DAMAGE["checksums.json: cut"] = (lambda path: cut(path / "checksums.json"), "checksums.json cannot be read")
DAMAGE["checksums.json: flip"] = (lambda path: flip(path / "checksums.json"), "checkpoint")
DAMAGE["all of them: unlink"] = (lambda path: [file.unlink() for file in path.iterdir()], "checksums.json is missing")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    train_forgetful(folder)
    return folder


@pytest.mark.parametrize("damage", DAMAGE, ids=str)
def test_the_one_before_a_damaged_one_is_used(
    damage: str, finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    act, reason = DAMAGE[damage]
    newest = checkpoint.listed(folder / "checkpoints")[-1]
    act(newest)
    found, broken = checkpoint.latest(folder / "checkpoints")
    assert found is not None and found.path.name == "step-000028"
    assert [problem.source for problem in broken] == [str(newest)]
    train_forgetful(folder)
    assert "passed over the checkpoint" in caplog.text and reason in caplog.text
    assert (folder / "history.jsonl").read_bytes() == (finished / "history.jsonl").read_bytes()
    for group in ("variables", "optimizer"):
        mine = checkpoint.read(newest).arrays(group)
        for name, array in checkpoint.read(finished / "checkpoints" / newest.name).arrays(group).items():
            assert any(np.array_equal(array, other) for other in mine.values()), name


def test_when_none_is_whole_it_says_so(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    for path in checkpoint.listed(folder / "checkpoints"):
        (path / "state.json").unlink()
    with pytest.raises(check.LensmithError, match=r"none of the checkpoints in .* is whole"):
        train_forgetful(folder)


def test_best_weights_that_are_damaged_are_said_to_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = checkpoint.read
    monkeypatch.setattr(checkpoint, "read", lambda path: checkpoint.Problem(str(path), "state.json is missing"))
    _, history = train_forgetful(tmp_path)
    assert history.best is not None and history.restored is None
    assert "the best weights are lost, the last ones stay" in caplog.text
    assert isinstance(whole(tmp_path / "checkpoints" / "step-000030"), checkpoint.Checkpoint)


def test_full_disk_by_injection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: Path) -> None:
    write, left = files._write, 12

    def full(path: Path, content: bytes) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            path.write_bytes(content[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, content)

    monkeypatch.setattr(files, "_write", full)
    message = (
        r"could not write .*step-000008: no space left on device; nothing there was changed;"
        r" the last good one is step-000004\. Free some space on that disk, then resume$"
    )
    with pytest.raises(check.LensmithError, match=message):
        train_forgetful(tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-000000", "step-000004"]
    monkeypatch.setattr(files, "_write", write)
    train_forgetful(tmp_path)
    assert (tmp_path / "history.jsonl").read_bytes() == (finished / "history.jsonl").read_bytes()


def test_space_is_not_asked_for_where_it_is_not_what_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path, content: bytes) -> None:
        raise OSError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(files, "_write", denied)
    message = r"permission denied; nothing there was changed; there is no earlier one\. Put that right, then resume$"
    with pytest.raises(check.LensmithError, match=message):
        checkpoint.write(tmp_path, 1, NOTHING, {})


def test_full_disk_while_writing_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        if path.name.endswith("history.jsonl"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(files, "_flush", full)
    monkeypatch.setattr(store, "_SHARE", 0)  # after every epoch
    message = (
        r"could not write .*history\.jsonl: no space left on device; nothing there was changed\."
        r" The last good checkpoint is .*step-000010\. Free some space on that disk, then resume$"
    )
    with pytest.raises(check.LensmithError, match=message):
        train_forgetful(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 320 KiB, where this process may mount one."""
    mount = shutil.which("mount")
    place = tmp_path / "disk"
    place.mkdir()
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=320k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_full_disk_for_real(small_disk: Path, finished: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(184 * 1024))
    with pytest.raises(check.LensmithError, match=r"no space left on device; .*; the last good one is step-\d+\."):
        train_forgetful(small_disk)
    found, broken = checkpoint.latest(small_disk / "checkpoints")
    assert found is not None and broken == ()
    assert not list((small_disk / "checkpoints").glob(".*"))
    filler.unlink()
    train_forgetful(small_disk)
    assert (small_disk / "history.jsonl").read_bytes() == (finished / "history.jsonl").read_bytes()


def test_the_disk_it_takes_is_bounded(tmp_path: Path) -> None:
    train_forgetful(tmp_path, stage=replace(STAGE, checkpoint_every=1, keep=3))
    assert len(checkpoint.listed(tmp_path / "checkpoints")) <= 4


@pytest.mark.parametrize("average", [None, 0.5])
def test_where_epochs_are_short_not_every_one_is_written(
    average: float | None, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if writing took the most of the time: what is kept in memory is what would have been written."""

    class Stopping(Silent):
        def on_epoch(self, row: object, waited: float) -> None:
            told.append(row)
            if len(told) == 2:
                raise StopError

    told: list[object] = []
    # The first epoch is the best by this measure, and it is not written when it is made.
    stage = replace(STAGE, checkpoint_every=None, epochs=4, average=average, monitor="val_loss", mode="max")
    expected, history_ = train_forgetful(tmp_path / "every", stage=stage)
    assert history_.restored == 1
    monkeypatch.setattr(store, "_SHARE", 1e9)
    with pytest.raises(StopError):
        train_forgetful(tmp_path / "killed", stage=stage, progress=Stopping())
    assert [path.name for path in checkpoint.listed(tmp_path / "killed" / "checkpoints")] == ["step-000000"]
    for folder in (tmp_path / "killed", tmp_path / "through", tmp_path / "through"):  # and a finished one again
        model, same = train_forgetful(folder, stage=stage)
        assert same == history_
        for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        for name in ("history.jsonl", "watch.jsonl"):
            assert (folder / name).read_bytes() == (tmp_path / "every" / name).read_bytes()
        there = [path.name for path in checkpoint.listed(folder / "checkpoints")]
        assert there == ["step-000010", "step-000040"]


EVERYTHING = "average,accumulate,plateau,dropout,steps,callback,warm"


@pytest.mark.parametrize("every", [None, 7])
def test_everything_at_once_where_hardly_anything_is_written(
    every: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in one window after another, with the best epoch in memory or on the disk."""
    stage = {"checkpoint_every": every, "epochs": 4, "monitor": "val_loss", "mode": "max", "keep": 1}
    monkeypatch.setitem(OPTIONS, "here", stage)
    whole, history_ = train_with(tmp_path / "whole", EVERYTHING + ",here")
    assert history_.restored == 1 and history_.steps == 52
    monkeypatch.setattr(store, "_SHARE", 1e9)
    folder = tmp_path / "killed"
    for step in (14, 25, 26, 27, 40, 51):
        with contextlib.suppress(StopError):
            train_with(folder, EVERYTHING + ",here", progress=Killer(step, stop))
    model, same = train_with(folder, EVERYTHING + ",here")
    assert same == history_
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("history.jsonl", "watch.jsonl"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_best_in_memory_is_written_before_a_loss_that_is_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unseen, broken = digits(300, 400, seed=None), [0]

    class Breaking(Arrays):
        def epoch(self, number: int) -> Any:
            broken[0] += 1
            if broken[0] == 3:
                self.x[:] = np.nan
            return super().epoch(number)

    monkeypatch.setattr(store, "_SHARE", 1e9)
    stage = replace(STAGE, checkpoint_every=None, epochs=4)
    with pytest.raises(check.LensmithError, match=r"validation: .* The last good checkpoint is .*step-000020\."):
        train_forgetful(tmp_path, stage=stage, validation=Breaking(unseen.x.copy(), unseen.y, seed=None))


def test_no_time_of_day_in_a_checkpoint_or_the_history(finished: Path) -> None:
    assert "seconds" not in (finished / "history.jsonl").read_text()
    assert "seconds" not in (finished / "checkpoints" / "step-000030" / "state.json").read_text()
    assert "steps_per_second" in (finished / "timing.jsonl").read_text()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32", "uint8"])
def test_variables_of_any_type_come_back(dtype: str, tmp_path: Path) -> None:
    value = np.array([[1, 3], [100, 7]])
    variable = keras.Variable(value, dtype=dtype, name="v", trainable=False)
    before = arrays_of([variable])
    found = checkpoint.read(checkpoint.write(tmp_path, 1, NOTHING | {"variables": before}, {}))
    variable.assign(np.zeros((2, 2)))
    put([variable], found.arrays("variables"), "here")
    assert keras.backend.standardize_dtype(variable.dtype) == dtype
    np.testing.assert_array_equal(arrays_of([variable]).popitem()[1], before.popitem()[1])


def test_paths_that_stand_twice_are_told_apart() -> None:
    variables = [keras.Variable(np.full(2, value), name="same", dtype="float32") for value in (1.0, 2.0)]
    taken = arrays_of(variables)
    assert len(taken) == 2
    for variable in variables:
        variable.assign(np.zeros(2))
    put(variables, taken, "here")
    assert [array[0] for array in arrays_of(variables).values()] == [1.0, 2.0]


def test_a_damaged_history_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "timing.jsonl"
    path.write_text('{"epoch": 1}\n{"epo\n')
    with pytest.raises(check.DataError, match=r"timing.jsonl:2: expected one JSON object"):
        history.read(path)


def test_warnings_go_through_logging(finished: Path) -> None:
    assert logging.getLogger("lensmith.train").handlers == []
