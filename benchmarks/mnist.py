"""The books' networks on the books' data: what they reach, and in what time.

- dense: 784-512-512-10 on all of MNIST, 10 epochs; the goal is 97.9 %.
- conv: 32 kernels of 5×5, pool, dropout, 128, 10 on all of MNIST, 5 epochs; the goal is 99.0 %.
- overfit: the convolutional network on 3,200 images of CIFAR-10, at a constant rate: it learns them by heart, and the
  loss on images it has not seen turns. Named are the epoch of the least validation loss, both losses there and at
  the end, and what the diagnosis says.

The two on MNIST train on all 60,000 images with no validation and no choice among epochs, and are measured once on
the 10,000 of the test part.

    .venv/bin/python benchmarks/mnist.py [FOLDER] [--only dense] [--seeds 0 1] [--json]

FOLDER holds ``mnist`` (the four idx files) and ``cifar10_5000`` (an npz file); without it, ``../shared/data`` is taken.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lensmith import compose, data, train
from lensmith.backend import keras
from lensmith.records import Records
from lensmith.runs import objectives

Found = dict[str, Any]  # what a run came to
DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"


@dataclass(frozen=True)
class Case:
    """A network of the books, and how it is trained.

    Args:
        name: of its row in the zoo.
        stage: how to train.
        batch: examples a step.
        goal: the accuracy on the test part that it has to reach; None where that is not the point.
    """

    name: str
    stage: train.Fit
    batch: int
    goal: float | None = None

    def fit(self, training: Records, validation: Records | None, seed: int) -> tuple[Any, train.History]:
        """The trained model, which gives logits, and its history."""
        recipe = compose.zoo.get(self.name)
        model = compose.logits(recipe.build(seed=seed))
        made = self.batches(training, seed=seed)
        held = None if validation is None else self.batches(validation, seed=seed)
        return model, train.fit(
            model, made, stage=self.stage, objectives=objectives(recipe), validation=held, seed=seed
        )

    def accuracy(self, model: Any, test: Records) -> float:
        recipe = compose.zoo.get(self.name)
        return train.evaluate(model, self.batches(test, seed=0), objectives(recipe))["accuracy"]

    def batches(self, records: Records, *, seed: int) -> data.Batches:
        shape = compose.zoo.get(self.name).input
        return data.batches(
            records, data.Preprocessing(image=(shape[0], shape[1], shape[2])), size=self.batch, seed=seed
        )


CASES = {
    "dense": Case("dense-digits", train.Fit(epochs=10, rate=1e-3), batch=128, goal=0.979),
    "conv": Case("conv-digits-5x5", train.Fit(epochs=5, rate=2e-3), batch=64, goal=0.990),
    "overfit": Case("conv-cifar", train.Fit(epochs=15, schedule=train.Constant(), restore_best=False), batch=64),
}


def mnist(case: Case, folder: Path, seed: int) -> Found:
    """Train on the training part, measure on the test part."""
    records = data.read(folder / "mnist", format="idx")
    began = time.perf_counter()
    model, _ = case.fit(records.part("train"), None, seed)
    seconds = time.perf_counter() - began
    return {"accuracy": case.accuracy(model, records.part("test")), "seconds": seconds}


def cifar(case: Case, folder: Path, seed: int) -> Found:
    """Train on four fifths of the training part and watch the rest of it; the test part is measured once."""
    records = data.read(folder / "cifar10_5000" / "cifar10_exact_5000.npz")
    training, validation, _ = data.split(records, 0.8, 0.2, 0.0, seed=seed)
    began = time.perf_counter()
    model, history = case.fit(training, validation, seed)
    seconds = time.perf_counter() - began
    losses, trained = history["val_loss"], history["loss"]
    turn = min(range(len(losses)), key=lambda epoch: losses[epoch] or 0.0)
    return {
        "accuracy": case.accuracy(model, records.part("test")),
        "turns_after_epoch": turn + 1,
        "loss_then": trained[turn] or 0.0,
        "val_loss_then": losses[turn] or 0.0,
        "loss_at_the_end": trained[-1] or 0.0,
        "val_loss_at_the_end": losses[-1] or 0.0,
        "diagnosis": [f"{one.kind} from epoch {one.epoch}" for one in history.diagnoses],
        "seconds": seconds,
    }


RUNS: dict[str, Callable[[Case, Path, int], Found]] = {"dense": mnist, "conv": mnist, "overfit": cifar}


def told(name: str, case: Case, seed: int, found: Found) -> str:
    """One result in words."""
    goal = "" if case.goal is None else f" (goal: {case.goal:.1%} or more)"
    line = f"{name}, seed {seed}: {case.stage.epochs} epochs in {found['seconds']:.0f} s"
    line += f"; test {found['accuracy']:.2%}{goal}"
    if "turns_after_epoch" not in found:
        return line
    return (
        f"{line}\n  the validation loss turns after epoch {found['turns_after_epoch']}: {found['val_loss_then']:.2f},"
        f" and {found['val_loss_at_the_end']:.2f} at the end; that of training goes from {found['loss_then']:.2f} to"
        f" {found['loss_at_the_end']:.2f}\n  diagnosis: {', '.join(found['diagnosis']) or 'none'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=DATA)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--only", choices=list(CASES), help="one of the networks")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the weights and of the order")
    options = parser.parse_args()
    if not options.folder.is_dir():
        print(f"{options.folder} is not there: name the folder that holds mnist and cifar10_5000", file=sys.stderr)
        return
    results: dict[str, Any] = {"backend": keras.config.backend()}
    for name, case in CASES.items():
        if options.only not in (None, name):
            continue
        for seed in options.seeds:
            found = RUNS[name](case, options.folder, seed)
            results[f"{name}_{seed}"] = found
            if not options.json:
                print(told(name, case, seed, found), flush=True)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
