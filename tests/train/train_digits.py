"""Small real data in memory, small networks, and a program that trains them and may be killed.

Run as ``python train_digits.py FOLDER [KILL_AT_STEP]``: trains a network with batch normalisation,
dropout, Adam and cosine, resuming what is in the folder; kills itself with SIGKILL at that step.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from lensmith.backend import keras
from lensmith.train import Cosine, Fit, Objective, RichProgress, Silent, fit

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


def main(folder: str, kill_at: str = "0") -> None:
    keras.utils.set_random_seed(int.from_bytes(os.urandom(3)))  # whatever it is, it must not matter
    progress = Killer(int(kill_at), lambda: os.kill(os.getpid(), signal.SIGKILL)) if int(kill_at) else RichProgress()
    model, _ = train_forgetful(Path(folder), progress=progress)
    np.savez(Path(folder) / "final.npz", *[keras.ops.convert_to_numpy(v) for v in model.variables])


if __name__ == "__main__":
    main(*sys.argv[1:])
