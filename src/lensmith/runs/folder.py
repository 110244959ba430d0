"""The run folder: where each file of a run stands, and how it is written.

spec.yaml           what was asked for, every default written out
data.json           which file went into which part, with hashes; the labels; the scaling; the audit
environment.json    versions, backend, devices, threads
history.jsonl       one line an epoch
watch.jsonl         what was looked at while training: losses within an epoch, gradients by layer
stages/             what each finished stage came to, and the weights it ended with
features/           what frozen backbones and teachers gave, computed once
checkpoints/        what a resume needs
stopped.json        why training ended with a loss that is no finite number; gone once a resume went on to the end
model/              the trained model
model.onnx          what is shipped, proven equal to it
findings/           pictures of what the audit found
results.json        what the test part says
mistakes/           pictures of the wrong answers the model was surest of
report.html         all of it for a person
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lensmith import check
from lensmith.files import finite, put_file
from lensmith.train.history import read as read_history


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run."""

    path: Path

    @property
    def spec(self) -> Path:
        return self.path / "spec.yaml"

    @property
    def data(self) -> Path:
        return self.path / "data.json"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def history(self) -> Path:
        return self.path / "history.jsonl"

    @property
    def timing(self) -> Path:
        return self.path / "timing.jsonl"

    @property
    def watch(self) -> Path:
        return self.path / "watch.jsonl"

    @property
    def stopped(self) -> Path:
        return self.path / "stopped.json"

    @property
    def stages(self) -> Path:
        return self.path / "stages"

    @property
    def features(self) -> Path:
        return self.path / "features"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def artifact(self) -> Path:
        return self.path / "model.onnx"

    @property
    def results(self) -> Path:
        return self.path / "results.json"

    @property
    def mistakes(self) -> Path:
        return self.path / "mistakes"

    def finding(self, number: int) -> Path:
        """The picture of a finding of the audit, by its place in the list."""
        return self.path / "findings" / f"{number:02}.png"

    @property
    def report(self) -> Path:
        return self.path / "report.html"


def create(path: Path) -> RunFolder:
    """Make the folder of a new run.

    Raises:
        SettingError: something is there already, or the folder cannot be made.
    """
    check_new(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise check.SettingError(f"{path}: the run folder cannot be made: {error.strerror}") from None
    return RunFolder(path)


def check_new(path: Path) -> None:
    """Refuse a folder that a new run cannot have; to be asked before long work, not after.

    Raises:
        SettingError: something is there already.
    """
    folder = RunFolder(path)
    if folder.data.is_file():
        remedy = f"Continue it: lensmith train --resume {path}"
        raise check.SettingError(check.sentence(str(path), "a new or empty folder", "a run", remedy))
    # What a run leaves that was killed before it had begun is no hindrance.
    begun = {folder.spec.name, folder.environment.name}
    if path.exists() and not path.is_dir():
        raise check.SettingError(check.sentence(str(path), "a new or empty folder", "a file", "Name another folder"))
    others = [found.name for found in path.glob("*") if found.name not in begun and not found.name.startswith(".")]
    if others:
        got = f"one that holds {others[0]}"
        raise check.SettingError(check.sentence(str(path), "a new or empty folder", got, "Name another folder"))


def existing(path: Path) -> RunFolder:
    """The folder of a run that was begun.

    Raises:
        SettingError: it is not there, or not a run.
    """
    folder = RunFolder(path)
    missing = [file.name for file in (folder.spec, folder.data) if not file.is_file()]
    if missing:
        got = "no such folder" if not path.exists() else f"no {' and no '.join(missing)} in it"
        remedy = "Name the folder that lensmith train wrote to"
        raise check.SettingError(check.sentence(str(path), "the folder of a run", got, remedy))
    return folder


@contextlib.contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Keep other processes from working on the same run, where the system can (not on Windows).

    Raises:
        SettingError: another process is at work in it.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder.path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise check.SettingError(f"{folder.path}: another process is at work on this run; wait for it") from None
        yield
    finally:
        os.close(handle)


def fresh(stem: str, under: Path = Path("runs")) -> Path:
    """A folder name that is not taken: ``runs/stem``, ``runs/stem-2``, …"""
    candidate, number = under / stem, 2
    while candidate.exists():
        candidate, number = under / f"{stem}-{number}", number + 1
    return candidate


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is there whole or not at all."""
    put_file(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file so that it is there whole or not at all; numbers that are not finite become null."""
    write_text(path, json.dumps(finite(values), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The values of a JSON file of the run.

    Raises:
        DataError: it is missing or broken.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise check.DataError(f"{path}: missing; the run did not get that far") from None
    except (OSError, ValueError) as error:
        raise check.DataError(f"{path}: cannot be read: {error}") from None
    if not isinstance(values, dict) or not values:
        raise check.DataError(f"{path}: expected what a run writes; got something else. Was it edited?")
    return values


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON-lines file; none where the file is missing."""
    return list(read_history(path)) if path.is_file() else []
