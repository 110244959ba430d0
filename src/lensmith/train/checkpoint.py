"""Checkpoints: folders that are written whole or not at all, and that know when they are damaged.

``checkpoints/step-000420`` holds ``variables.safetensors`` (weights, moving statistics and the random
state of every layer), ``optimizer.safetensors``, ``metrics.safetensors``, ``state.json`` and
``checksums.json`` with the SHA-256 of each. It is written under another name, flushed to the disk and
then renamed, so that a folder of that name is complete whenever the power goes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from lensmith import check, files
from lensmith.files import clean
from lensmith.records import Problem

Arrays = Mapping[str, np.ndarray]
GROUPS = ("variables", "optimizer", "metrics")

_STATE = "state.json"
_CHECKSUMS = "checksums.json"
_FILES = (*(f"{group}.safetensors" for group in GROUPS), _STATE)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on disk whose checksums were found right.

    Args:
        path: its folder.
        state: the content of ``state.json``.
    """

    path: Path
    state: Mapping[str, Any]

    def arrays(self, group: str) -> dict[str, np.ndarray]:
        """The arrays of one group (``variables``, ``optimizer`` or ``metrics``) in their saved order."""
        found = safetensors.numpy.load_file(self.path / f"{group}.safetensors")
        return {name: found[name] for name in self.state["names"][group]}


def write(folder: Path, step: int, arrays: Mapping[str, Arrays], state: Mapping[str, Any]) -> Path:
    """Write a checkpoint of this step, replacing one of the same step.

    Args:
        folder: the folder of all checkpoints; made if missing.
        step: how many steps have been made.
        arrays: by group, then by name.
        state: everything else, as JSON values.

    Returns:
        The folder of the checkpoint.

    Raises:
        LensmithError: the disk is full or refuses. Nothing is left half written, and the earlier
            checkpoints are untouched.
    """
    target = folder / name_of(step)
    names = {group: list(arrays[group]) for group in GROUPS}
    contents = {f"{group}.safetensors": _packed(arrays[group]) for group in GROUPS}
    contents[_STATE] = json.dumps(dict(state) | {"names": names}, indent=1).encode()
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    contents[_CHECKSUMS] = json.dumps(sums, indent=1).encode()
    clean(folder)
    try:
        files.write_folder(target, contents, replace=True)
    except check.LensmithError as error:
        earlier = [path.name for path in listed(folder) if path != target]
        kept = f"the last good one is {earlier[-1]}" if earlier else "there is no earlier one"
        raise check.LensmithError(f"{error}; {kept}. {then_resume(error)}") from error
    return target


def then_resume(error: check.LensmithError) -> str:
    """What to do about something that could not be written: more space helps only where that was the reason."""
    full = isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT)
    return "Free some space on that disk, then resume" if full else "Put that right, then resume"


def latest(folder: Path) -> tuple[Checkpoint | None, tuple[Problem, ...]]:
    """The newest checkpoint that is whole, and the newer ones that are not.

    What a killed process left in the folder is put right first.

    Returns:
        The checkpoint, or None when there is no whole one; and each broken one that was passed over,
        with what is wrong with it.
    """
    broken: list[Problem] = []
    clean(folder)
    for path in reversed(listed(folder)):
        found = read(path)
        if isinstance(found, Checkpoint):
            return found, tuple(broken)
        broken.append(found)
    return None, tuple(broken)


def read(path: Path) -> Checkpoint | Problem:
    """The checkpoint in this folder if every checksum is right, else what is wrong."""
    try:
        sums = json.loads((path / _CHECKSUMS).read_text(encoding="utf-8"))
        for name in _FILES:
            with (path / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sums[name]:
                    return Problem(str(path), f"{name} is not what was written")
        return Checkpoint(path, json.loads((path / _STATE).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        return Problem(str(path), f"{Path(error.filename).name} is missing")
    except (OSError, ValueError, KeyError, TypeError):
        return Problem(str(path), f"{_CHECKSUMS} cannot be read")


def listed(folder: Path) -> list[Path]:
    """The checkpoints of a folder by rising step, whole or not."""
    found = [path for path in folder.glob("step-*") if path.name.removeprefix("step-").isdigit()]
    return sorted(found, key=step_of)


def prune(folder: Path, *, newest: Path, keep: int, also: Iterable[str] = ()) -> None:
    """Delete all but the ``keep`` checkpoints up to ``newest``, and the ones named in ``also``.

    Later ones than ``newest`` go too: they were broken, and passed over on resuming.
    """
    earlier = [path for path in listed(folder) if step_of(path) <= step_of(newest)]
    wanted = {path.name for path in earlier[-keep:]} | set(also)
    for path in listed(folder):
        if path.name not in wanted:
            shutil.rmtree(path, ignore_errors=True)


def name_of(step: int) -> str:
    return f"step-{step:06d}"


def step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _packed(arrays: Arrays) -> bytes:
    """The arrays as safetensors. It takes them as they lie in memory, so they must lie in C order."""
    return safetensors.numpy.save({name: np.require(array, requirements="C") for name, array in arrays.items()})
