"""Unfinished paintings on disk: written whole, read back to the bit, damage found."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.stylize import state
from lensmith.stylize.optimizers import Point
from lensmith.stylize.state import State

rng = np.random.default_rng(0)
PIXELS, MEAN, SQUARE = rng.random((3, 1, 4, 5, 3)).astype(np.float32)
GIVEN = State(1, Point(PIXELS, MEAN, SQUARE, step=7, halved=2), (3.0, 1 / 3), {"size": 5, "blend": [1.0]}, threads=1)


def test_read_back_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "a.png.state.safetensors"
    state.write(path, GIVEN)
    found = state.read(path)
    assert [found.point.pixels.tobytes(), found.point.mean.tobytes(), found.point.square.tobytes()] == [
        array.tobytes() for array in (PIXELS, MEAN, SQUARE)
    ]
    assert (found.level, found.point.step, found.point.halved, found.threads) == (1, 7, 2, 1)
    assert (found.losses, found.facts) == (GIVEN.losses, GIVEN.facts)
    assert [each.name for each in tmp_path.iterdir()] == [path.name], "nothing else is left there"


def test_without_moments(tmp_path: Path) -> None:
    state.write(tmp_path / "s", State(0, Point(PIXELS), (), {}))
    assert state.read(tmp_path / "s").point.mean is None


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(check.SettingError, match=r"--resume: expected an unfinished painting, .*got none there"):
        state.read(tmp_path / "none")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, place: int, change: int) -> None:
    """Each byte counts: of the header or of the arrays. What is read in spite of it is what was written."""
    path = tmp_path_factory.mktemp("damaged") / "s"
    state.write(path, GIVEN)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= change
    path.write_bytes(content)
    try:
        found = state.read(path)
    except check.DataError as error:
        assert "\n" not in str(error)
        assert "Delete it and begin without --resume" in str(error)
    else:
        assert np.array_equal(found.point.pixels, PIXELS)
        assert (found.level, found.point.step, found.point.halved, found.losses) == (1, 7, 2, GIVEN.losses)


# Each row: what stands in the file.
BROKEN = [b"", b"x", b"\xff" * 100, b"PK\x03\x04", (2**40).to_bytes(8, "little") + b"{}"]


@pytest.mark.parametrize("content", BROKEN)
def test_other_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(check.DataError, match="expected an unfinished painting; got damaged"):
        state.read(tmp_path / "s")


def test_cut_short(tmp_path: Path) -> None:
    state.write(tmp_path / "s", GIVEN)
    (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes()[:-9])
    with pytest.raises(check.DataError, match="damaged"):
        state.read(tmp_path / "s")


def test_what_differs_is_named(tmp_path: Path) -> None:
    then = {"size": 64, "rate": 0.02, "blend": []}
    state.check_facts(tmp_path / "s", then, {"size": 64, "rate": 0.02, "blend": ()})
    with pytest.raises(check.SettingError) as refused:
        state.check_facts(tmp_path / "s", then, {"size": 64, "rate": 0.05, "blend": []})
    expected = "--resume: rate: expected 0.02, as s was begun with; got 0.05. Say the same, or begin without --resume"
    assert str(refused.value) == expected
    with pytest.raises(check.SettingError, match="--resume: blend: expected none, as s was begun with; got"):
        state.check_facts(tmp_path / "s", then, then | {"blend": [1, 2]})
