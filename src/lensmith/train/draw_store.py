"""The folder of a stage that draws initial weights: what is finished is kept, whatever happens."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.files import clean, put_file
from lensmith.train.checkpoint import Arrays

DRAWS, WEIGHTS = "draws.json", "draw.safetensors"

_log = logging.getLogger("lensmith.train")


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """The finished draws.

    Args:
        losses: one a draw; NaN where it was no finite number.
        arrays: the weights of the best one; None where there is none, or they are lost.
    """

    losses: tuple[float, ...] = ()
    arrays: Arrays | None = None

    @property
    def best(self) -> int | None:
        """Which draw has the lowest loss, the first of equals; None where none is finite."""
        finite = [number for number, loss in enumerate(self.losses) if math.isfinite(loss)]
        return min(finite, key=lambda number: self.losses[number], default=None)


def read(folder: Path, facts: Mapping[str, Any]) -> Draws:
    """The finished draws of a folder, without what is missing or damaged.

    Raises:
        SettingError: they were begun with other facts.
    """
    clean(folder)
    found = _whole(folder / DRAWS)
    if found is None:
        return Draws()
    _check_same(folder / DRAWS, found["facts"], facts)
    _same_conditions(found)
    losses = tuple(math.nan if loss is None else loss for loss in found["losses"])
    return Draws(losses, _arrays(folder / WEIGHTS, found["weights"], found["names"]))


def write(folder: Path, draws: Draws, facts: Mapping[str, Any]) -> None:
    """Put the finished draws into a folder, the weights first.

    A kill between the two files leaves weights that the losses do not know by their checksum: then that draw is made
    again, with the same result.
    """
    packed = b""
    if draws.arrays is not None:
        packed = safetensors.numpy.save({key: np.require(one, requirements="C") for key, one in draws.arrays.items()})
        if not (folder / WEIGHTS).exists() or (folder / WEIGHTS).read_bytes() != packed:
            put_file(folder / WEIGHTS, lambda beside: beside.write_bytes(packed))
    content = {
        "losses": [loss if math.isfinite(loss) else None for loss in draws.losses],
        "weights": hashlib.sha256(packed).hexdigest(),
        "names": list(draws.arrays or ()),
        "facts": facts,
        "backend": keras.config.backend(),
        "threads": backend.threads(),
    }
    text = json.dumps({**content, "sha256": _digest(content)}, indent=1)
    put_file(folder / DRAWS, lambda beside: beside.write_text(text, encoding="utf-8"))


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _whole(path: Path) -> dict[str, Any] | None:
    """What the file holds if its checksum is right."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        right = found.pop("sha256") == _digest(found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        right = False
    if not right:
        _log.warning("%s is not what was written; drawing again", path)
        return None
    return found  # type: ignore[no-any-return]


def _arrays(path: Path, expected: str, names: list[str]) -> Arrays | None:
    try:
        packed = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(packed).hexdigest() != expected:
        return None
    arrays = safetensors.numpy.load(packed)
    return {name: arrays[name] for name in names}


def _check_same(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            expected = f"{then.get(name)!r}, as in {path}"
            remedy = "Go on with what the draws were begun with, or begin others in another folder"
            raise check.SettingError(check.sentence(f"draw: {name}", expected, repr(now.get(name)), remedy))


def _same_conditions(found: Mapping[str, Any]) -> None:
    """The same sums come out only with the same number of threads and the same backend."""
    if found["threads"] != backend.threads():
        text = "using %s threads for an operation, as the draws did, instead of %s"
        _log.warning(text, found["threads"], backend.threads())
        backend.set_threads(found["threads"])
    if found["backend"] != keras.config.backend():
        text = "the draws were begun on %s and go on on %s: they will not end with the same bits"
        _log.warning(text, found["backend"], keras.config.backend())
