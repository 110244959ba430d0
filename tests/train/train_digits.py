"""Small real data in memory, small networks, and a program that trains them and may be killed.

Run as ``python train_digits.py FOLDER [KILL_AT_STEP [OPTIONS]]``: trains a network with batch normalisation,
dropout, Adam and cosine, resuming what is in the folder; kills itself with SIGKILL at that step. Options are those of
``OPTIONS``, joined by commas.

Run as ``python train_digits.py FOLDER kills=N,seed=S OPTIONS``: trains once undisturbed in ``FOLDER/whole``, and once
in ``FOLDER/killed`` in processes that are killed N times at random moments. Prints one line a process.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from lensmith import files
from lensmith.backend import keras
from lensmith.train import Cosine, Fit, GapDropout, Objective, Plateau, RichProgress, Silent
from lensmith.train.loop import fit
from lensmith.train.schedules import Ramp

CLASSES = Objective("sparse_categorical_crossentropy", ("accuracy",), activation="softmax")


@dataclass
class Arrays:
    """Batches of arrays that satisfy the contract of ``lensmith.train.Batches``."""

    x: np.ndarray
    y: Any
    size: int = 32
    seed: int | None = 0  # None keeps the order
    epochs_begun: list[int] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.x.tobytes() + f"{self.size} {self.seed}".encode()).hexdigest()

    def __len__(self) -> int:
        return -(-len(self.x) // self.size)

    def epoch(self, number: int) -> _Epoch:
        self.epochs_begun.append(number)
        order = np.arange(len(self.x))
        if self.seed is not None:
            order = np.random.default_rng((self.seed, number)).permutation(order)
        return _Epoch(self, order)


@dataclass
class _Epoch:
    batches: Arrays
    order: np.ndarray
    next: int = 0

    def __iter__(self) -> _Epoch:
        return self

    def __next__(self) -> tuple[np.ndarray, Any]:
        here = self.order[self.next * self.batches.size : (self.next + 1) * self.batches.size]
        if not len(here):
            raise StopIteration
        self.next += 1
        y = self.batches.y
        return self.batches.x[here], {k: v[here] for k, v in y.items()} if isinstance(y, Mapping) else y[here]

    def get_state(self) -> dict[str, Any]:
        return {"next": self.next}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.next = state["next"]


def digits(first: int = 0, last: int = 1797, *, size: int = 32, seed: int | None = 0) -> Arrays:
    """Handwritten digits of 8 by 8 pixels, values 0 to 1, in batches."""
    x, y = load_digits(return_X_y=True)
    return Arrays((x[first:last] / 16).astype("float32"), y[first:last].astype("int32"), size, seed)


def dense(units: int = 10, *, inputs: int = 64, hidden: int = 32, seed: int = 0) -> Any:
    """A network of one hidden layer whose output is logits."""
    start = keras.Input((inputs,))
    first = keras.initializers.GlorotUniform(seed)
    second = keras.initializers.GlorotUniform(seed + 1)
    x = keras.layers.Dense(hidden, activation="relu", kernel_initializer=first, name="hidden")(start)
    return keras.Model(start, keras.layers.Dense(units, kernel_initializer=second, name="logits")(x))


def forgetful(seed: int | None = 0) -> Any:
    """A network in which everything has a state: batch normalisation and two dropouts, one without a seed."""
    start = keras.Input((64,))
    x = keras.layers.Reshape((8, 8, 1), name="picture")(start)
    x = keras.layers.Conv2D(8, 3, name="conv", kernel_initializer=keras.initializers.HeNormal(seed))(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Activation("relu", name="relu")(x)
    x = keras.layers.Dropout(0.2, seed=3, name="drop-seeded")(x)
    x = keras.layers.Flatten(name="flat")(x)
    x = keras.layers.Dropout(0.3, name="drop")(x)
    kernel = keras.initializers.GlorotUniform(seed)
    return keras.Model(start, keras.layers.Dense(10, name="logits", kernel_initializer=kernel)(x))


class Killer(Silent):
    """Does something at a step, such as killing its own process."""

    def __init__(self, step: int, act: Any) -> None:
        self.step, self.act = step, act

    def on_step(self, step: int, values: Any, waited: float) -> None:
        if step == self.step:
            self.act()


STAGE = Fit(epochs=3, rate=3e-3, schedule=Cosine(), checkpoint_every=4)
STEPS = 3 * 10


def train_forgetful(folder: Path | None, *, progress: Any = None, resume: bool = True, **changes: Any) -> Any:
    """The run of the kill tests: 3 epochs of 10 steps on 300 digits; returns the model and the history."""
    model = forgetful()
    arguments = {"stage": STAGE, "objectives": {"digit": CLASSES}, "validation": digits(300, 400, seed=None)} | changes
    history = fit(model, digits(0, 300, seed=5), folder=folder, resume=resume, progress=progress, seed=11, **arguments)
    return model, history


class Counter(keras.callbacks.Callback):
    """A callback that remembers something and changes what is trained by it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen += 1
        if self.seen % 5 == 0:
            bias = self.model.layers[-1].bias
            bias.assign(bias + 0.001 * self.seen)

    def get_state(self) -> dict[str, int]:
        return {"seen": self.seen}

    def set_state(self, state: dict[str, int]) -> None:
        self.seen = state["seen"]


OPTIONS: dict[str, dict[str, Any]] = {
    "average": {"average": 0.9},
    "accumulate": {"accumulate": 3},
    "plateau": {"schedule": Plateau(0.5, patience=1, monitor="loss", min_delta=10.0)},
    "dropout": {"dropout": GapDropout(0.5)},
    "steps": {"steps": 13},
    "often": {"checkpoint_every": 2},
    "ramp": {"schedule": Ramp(), "restore_best": False},
    "momentum": {"optimizer": "momentum"},
    "warm": {"warmup": 1.5},
}


def train_with(folder: Path | None, options: str, **changes: Any) -> Any:
    """The run of the kill tests, changed by options."""
    names = [name for name in options.split(",") if name]
    stage = STAGE
    for name in names:
        stage = replace(stage, **OPTIONS.get(name, {}))
    callbacks = [Counter()] if "callback" in names else []
    return train_forgetful(folder, stage=stage, callbacks=callbacks, **changes)


def main(folder: str, kill_at: str = "0", options: str = "") -> None:
    if kill_at.startswith("kills="):
        settings = dict(part.split("=") for part in kill_at.split(","))
        kill_at_random(Path(folder), int(settings["kills"]), int(settings["seed"]), options)
        return
    progress = Killer(int(kill_at), lambda: os.kill(os.getpid(), signal.SIGKILL)) if int(kill_at) else RichProgress()
    train_and_leave(Path(folder), options, progress)


def train_and_leave(folder: Path, options: str, progress: Any = None) -> None:
    """Train, and leave the final weights and predictions."""
    keras.utils.set_random_seed(int.from_bytes(os.urandom(3)))  # whatever it is, it must not matter
    model, _ = train_with(folder, options, progress=progress)
    found = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    np.savez(folder / "final.npz", *found)
    np.savez(folder / "predicted.npz", keras.ops.convert_to_numpy(model(digits(400, 500).x)))


def kill_at_random(folder: Path, kills: int, seed: int, options: str) -> None:
    """Let processes train that are killed: every other one by the clock, every other one inside a write."""
    chance = random.Random(seed)
    began = time.monotonic()
    watch_over(folder / "whole", options, None, 0)
    whole = time.monotonic() - began
    made = 0
    while made < kills:
        delay = chance.uniform(0.2, 0.9) * whole if made % 2 == 0 else None
        ended = watch_over(folder / "killed", options, delay, chance.randint(3, 40) if delay is None else 0)
        if ended == 0:
            shutil.rmtree(folder / "killed")  # it was fast enough: all of it again
            continue
        made += 1
    watch_over(folder / "killed", options, None, 0)


def watch_over(folder: Path, options: str, delay: float | None, write: int) -> int:
    """Train in a process of its own, which is killed after a delay, or inside a write of its own number."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        folder.mkdir(parents=True, exist_ok=True)
        if write:
            _die_inside(write)
        train_and_leave(folder, options)
        os._exit(0)
    if delay is not None:
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print("ended", status, "left behind", left_behind(pid), flush=True)
    return status


def _die_inside(number: int) -> None:
    """Be killed with half of the so-manieth file written."""
    write, left = files._write, [number]

    def dying(path: Path, content: bytes) -> None:
        left[0] -= 1
        if left[0] == 0:
            path.write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, content)

    files._write = dying


def left_behind(session: int) -> int:
    """How many processes still run of a session."""
    found = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found += int(fields[3]) == session and fields[0] != "Z"
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
