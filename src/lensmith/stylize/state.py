"""A painting that is not finished: kept beside it, so that it can go on to the same bits."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from lensmith import check, files
from lensmith.stylize.optimizers import Point

_KEY, _SUM = "lensmith.painting", "lensmith.sum"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class State:
    """Where a painting stands.

    Args:
        level: counted from 0, the smallest.
        point: of the optimiser at this level; its arrays are numpy's, float32.
        losses: one of each picture before the point's, over all levels.
        facts: what the painting was begun with, as JSON values by name.
        threads: of one operation on the CPU, on which sums depend; None where that is not known.
    """

    level: int
    point: Point
    losses: tuple[float, ...]
    facts: Mapping[str, Any]
    threads: int | None = None


def path_for(out: Path) -> Path:
    """Where the state of a painting is kept: beside it.

    >>> path_for(Path("night.png")).as_posix()
    'night.png.state.safetensors'
    """
    return out.with_name(f"{out.name}.state.safetensors")


def digest(*arrays: np.ndarray) -> str:
    """A fingerprint of arrays: equal ones have equal ones, and others, in practice, never.

    >>> digest(np.zeros(2)) == digest(np.zeros(2)), digest(np.zeros(2)) == digest(np.zeros((2, 1)))
    (True, False)
    """
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        found.update(f"{array.dtype.str} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def write(path: Path, state: State) -> None:
    """Write a state, whole or not at all.

    Raises:
        LensmithError: the disk is full or refuses; the earlier state is still there.
    """
    arrays = _arrays(state)
    content = {
        "version": _VERSION,
        "level": state.level,
        "step": state.point.step,
        "halved": state.point.halved,
        "facts": dict(state.facts),
        "threads": state.threads,
    }
    text = json.dumps(content)
    metadata = {_KEY: text, _SUM: _sum(text, arrays)}
    files.put_file(path, lambda beside: safetensors.numpy.save_file(arrays, beside, metadata=metadata))


def read(path: Path) -> State:
    """The state in a file.

    Raises:
        SettingError: there is none.
        DataError: it is damaged or of another version.
    """
    if not path.is_file():
        remedy = "Begin without --resume"
        raise check.SettingError(check.sentence("--resume", f"an unfinished painting, {path}", "none there", remedy))
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
        content = json.loads(metadata[_KEY])
        if content["version"] != _VERSION or metadata[_SUM] != _sum(metadata[_KEY], arrays):
            raise ValueError("another version, or other bytes than were written")
        moments = arrays.get("mean"), arrays.get("square")
        point = Point(arrays["pixels"], *moments, step=int(content["step"]), halved=int(content["halved"]))
        losses = tuple(arrays["losses"].tolist())
        return State(int(content["level"]), point, losses, content["facts"], content["threads"])
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError):
        remedy = "Delete it and begin without --resume"
        raise check.DataError(check.sentence(str(path), "an unfinished painting", "damaged", remedy)) from None


def remove(path: Path) -> None:
    """Take a state away, if there is one."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def check_facts(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with anything else than a painting was begun with.

    Raises:
        SettingError: names the first thing that differs.
    """
    now = json.loads(json.dumps(now))
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            expected = f"{_shown(then.get(name))}, as {path.name} was begun with"
            remedy = "Say the same, or begin without --resume"
            raise check.SettingError(check.sentence(f"--resume: {name}", expected, _shown(now.get(name)), remedy))


def _shown(value: Any) -> str:
    return "none" if value is None or value == [] else str(value)


def _sum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    return digest(np.frombuffer(" ".join([text, *arrays]).encode(), np.uint8), *arrays.values())


def _arrays(state: State) -> dict[str, np.ndarray]:
    """By name, in alphabetical order."""
    given = {"mean": state.point.mean, "pixels": state.point.pixels, "square": state.point.square}
    found = {name: np.ascontiguousarray(array) for name, array in given.items() if array is not None}
    return dict(sorted((found | {"losses": np.asarray(state.losses, np.float64)}).items()))
