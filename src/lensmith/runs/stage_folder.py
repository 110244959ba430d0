"""Finished stages on disk: ``stages/2-fit`` holds what a stage came to and the weights it ended with.

A stage whose folder is whole is not run again. Only the two newest keep their weights; where both are damaged the plan
begins anew, and ends with the same bits.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.numpy

from lensmith import train
from lensmith.files import clean, finite, write_folder
from lensmith.train import checkpoint
from lensmith.train.state import arrays_of, put

_log = logging.getLogger(__name__)

_DONE, _WEIGHTS = "done.json", "weights.safetensors"
_KEPT = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished stage came to.

    Args:
        name: of its folder, such as ``2-fit``.
        epochs: it lasted; 0 for a stage that does not go through the data.
        steps: it made.
        rows: of the history, as it wrote them.
        monitor: the value that chose its best epoch; empty where none did.
        restored: the epoch whose weights it ended with; None for the last.
        stopped: whether it ended early.
        lost: examples that could no longer be read, as ``source`` and ``reason``.
        diagnoses: what was noticed, as ``kind``, ``epoch``, ``evidence`` and ``advice``.
        notes: more facts, by name.
    """

    name: str
    epochs: int = 0
    steps: int = 0
    rows: tuple[Mapping[str, Any], ...] = ()
    monitor: str = ""
    restored: int | None = None
    stopped: bool = False
    lost: tuple[Mapping[str, str], ...] = ()
    diagnoses: tuple[Mapping[str, Any], ...] = ()
    notes: Mapping[str, Any] | None = None


def write(folder: Path, outcome: Outcome, model: Any) -> None:
    """Keep what a stage came to and the model's weights, whole or not at all.

    Raises:
        LensmithError: the disk is full or refuses.
    """
    arrays = arrays_of(list(model.variables))
    weights = safetensors.numpy.save(arrays)
    # The file does not keep the order of its arrays, which tells where names differ between processes.
    done = {"outcome": finite(asdict(outcome)), "names": list(arrays), "sha256": hashlib.sha256(weights).hexdigest()}
    text = json.dumps(done, indent=1, ensure_ascii=False, allow_nan=False).encode()
    folder.mkdir(parents=True, exist_ok=True)
    write_folder(folder / outcome.name, {_WEIGHTS: weights, _DONE: text}, replace=True)


def prune(folder: Path, names: Sequence[str]) -> None:
    """Delete the weights of all but the newest of these finished stages."""
    for name in names[:-_KEPT]:
        (folder / name / _WEIGHTS).unlink(missing_ok=True)


def finished(folder: Path, names: Sequence[str]) -> tuple[Outcome, ...]:
    """The stages from the first on that are finished, the last of them with weights that are whole.

    Args:
        folder: of all stages.
        names: of the plan's stages, in order.
    """
    if folder.is_dir():
        clean(folder)
    found: list[Outcome] = []
    for name in names:
        outcome = _read(folder / name)
        if outcome is None:
            break
        found.append(outcome)
    while found and not _whole(folder / found[-1].name):
        _log.warning("the weights in %s are damaged or gone: that stage is run again", folder / found[-1].name)
        found.pop()
    return tuple(found)


def forget_later(checkpoints: Path, number: int) -> None:
    """Delete checkpoints of later stages than this one, from 1, which is run again as its own weights were lost."""
    found, _ = checkpoint.latest(checkpoints)
    if found is not None and (found.state.get("stage") or 1) > number:
        shutil.rmtree(checkpoints)


def restore(folder: Path, outcome: Outcome, model: Any) -> None:
    """Give the model the weights that a finished stage ended with.

    Raises:
        LensmithError: they are another model's.
    """
    path = folder / outcome.name / _WEIGHTS
    arrays = safetensors.numpy.load_file(path)
    names = json.loads(path.with_name(_DONE).read_text(encoding="utf-8"))["names"]
    put(list(model.variables), {name: arrays[name] for name in names}, str(path))


def earlier(outcomes: Sequence[Outcome], plan: int) -> train.Earlier:
    """What these stages did, for the next of a plan of so many stages."""
    return train.Earlier(
        stage=len(outcomes) + 1 if plan > 1 else None,
        epochs=sum(one.epochs for one in outcomes),
        steps=sum(one.steps for one in outcomes),
        rows=tuple(row for one in outcomes for row in one.rows),
    )


def _read(folder: Path) -> Outcome | None:
    try:
        values = json.loads((folder / _DONE).read_text(encoding="utf-8"))["outcome"]
        outcome = Outcome(**values)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        _log.warning("%s cannot be read: that stage is run again", folder / _DONE)
        return None
    lists = {name: tuple(getattr(outcome, name)) for name in ("rows", "lost", "diagnoses")}
    return replace(outcome, **lists)  # type: ignore[arg-type]


def _whole(folder: Path) -> bool:
    try:
        noted = json.loads((folder / _DONE).read_text(encoding="utf-8"))["sha256"]
        with (folder / _WEIGHTS).open("rb") as file:
            return bool(hashlib.file_digest(file, "sha256").hexdigest() == noted)
    except (OSError, ValueError, KeyError):
        return False
