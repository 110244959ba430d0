"""What our training loop costs: ``train.fit`` with everything on against a bare loop of the same model and batches.

Everything on is: a checkpoint after each epoch, the history, the timing, the diagnosis with what it watches, a bar
that is drawn, a check of every loss, and positions that can be resumed. The bare loop calls the same compiled step,
with the same optimizer, over the same batches in memory, then the compiled measuring step over the validation part,
and does nothing else.

Both train a model of their own in one process, 20 steps in turn; the bar rests while the bare loop has its turn. A
ratio is the median over the epochs of our time over the bare one's: 1.03 is 3 % more. ``silent`` shows nothing,
``rich`` draws the bar; ``steps`` leaves out what is done once an epoch: validation, checkpoint, history and diagnosis.
In the JSON, ``ratio`` is the largest of all.

    .venv/bin/python benchmarks/fit_loop.py [--only dense] [--rounds 5] [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from lensmith import compose, train
from lensmith.backend import keras
from lensmith.runs import objectives
from lensmith.train import optimizers
from lensmith.train.compiled import Compiled, compiled

TURN = 20  # steps until the other one has its turn
Batch = tuple[np.ndarray, np.ndarray]
CLASSES = {"label": compose.Classify(10)}
SMALL = replace(compose.zoo.get("compact"), input=(64, 64, 3), tasks=CLASSES)
RESNET18 = replace(compose.zoo.get("resnet18-v2"), input=(64, 64, 3), tasks=CLASSES)
DENSE = compose.zoo.get("dense-digits")


@dataclass(frozen=True)
class Case:
    """A network, and how many batches of which size make an epoch."""

    recipe: compose.Recipe
    batch: int
    steps: int
    held: int  # batches of the validation part


CASES = {
    "dense": Case(DENSE, batch=128, steps=469, held=40),
    "small": Case(SMALL, batch=32, steps=60, held=6),
    "resnet18": Case(RESNET18, batch=16, steps=100, held=10),
}


@dataclass(frozen=True)
class InMemory:
    """The same batches every epoch; they satisfy ``train.Batches``."""

    batches: tuple[Batch, ...]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int) -> Places:
        return Places(self.batches)


@dataclass
class Places:
    """An epoch that knows how far it is."""

    batches: tuple[Batch, ...]
    next: int = 0

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self.next == len(self.batches):
            raise StopIteration
        self.next += 1
        return self.batches[self.next - 1]

    def get_state(self) -> dict[str, Any]:
        return {"next": self.next}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.next = int(state["next"])


def noise(case: Case, batches: int, name: str) -> InMemory:
    """Noise and chance labels: how long a step takes does not depend on what is in them."""
    random = np.random.default_rng(0)
    shape = (case.batch, *case.recipe.input)
    made = tuple(
        (random.random(shape, np.float32), random.integers(0, 10, case.batch).astype(np.int32)) for _ in range(batches)
    )
    return InMemory(made, name)


@dataclass(frozen=True)
class Bare:
    """The compiled steps of a model, and nothing else."""

    steps: Compiled
    training: InMemory
    validation: InMemory

    @staticmethod
    def of(case: Case, training: InMemory, validation: InMemory) -> Bare:
        model = compose.logits(case.recipe.build(seed=0))
        steps = compiled(model, objectives(case.recipe), optimizers.build(train.Fit()))
        steps.build(*training.batches[0])
        return Bare(steps, training, validation)

    def train(self, start: int, stop: int) -> float:
        """The seconds that these steps of an epoch take."""
        began = time.perf_counter()
        if start == 0:
            self.steps.model.reset_metrics()
        for x, y in self.training.batches[start:stop]:
            values = self.steps.train(x, y)
        self.steps.floats(values)
        return time.perf_counter() - began

    def measure(self) -> float:
        """The seconds that the validation part takes."""
        began = time.perf_counter()
        self.steps.model.reset_metrics()
        for x, y in self.validation.batches:
            values = self.steps.test(x, y)
        self.steps.floats(values)
        return time.perf_counter() - began


@dataclass
class Turns(train.Silent):
    """Passes everything on to another progress, counts our seconds, and lets the bare loop have its turns.

    ``rows`` holds for each epoch our seconds and the bare loop's, of the steps and of the whole.
    """

    shown: train.Progress
    bare: Bare
    plan: tuple[int, int] = (0, 0)
    began: float = 0.0
    ours: float = 0.0
    theirs: float = 0.0
    made: int = 0  # steps of this epoch that the bare loop has made
    rows: list[tuple[float, float, float, float]] = field(default_factory=list)

    def on_start(self, epochs: int, steps: int, done: int) -> None:
        self.plan = epochs, steps
        self._go_on(done)

    def on_step(self, step: int, values: Callable[[], dict[str, float]], waited: float) -> None:
        self.shown.on_step(step, values, waited)
        inside = (step - 1) % self.plan[1] + 1
        if inside - self.made == TURN or inside == self.plan[1]:
            self._rest()
            self.theirs += self.bare.train(self.made, inside)
            self.made = inside
            self._go_on(step)

    def on_epoch(self, row: train.Row, waited: float) -> None:
        of_steps = self.ours, self.theirs
        self.shown.on_epoch(row, waited)
        self._rest()
        self.theirs += self.bare.measure()
        self.rows.append((*of_steps, self.ours, self.theirs))
        self.ours, self.theirs, self.made = 0.0, 0.0, 0
        self._go_on(len(self.rows) * self.plan[1])

    def on_end(self) -> None:
        self.shown.on_end()

    def _rest(self) -> None:
        self.ours += time.perf_counter() - self.began
        self.shown.on_end()

    def _go_on(self, done: int) -> None:
        self.shown.on_start(*self.plan, done)
        self.began = time.perf_counter()


def compare(case: Case, rounds: int, shown: train.Progress) -> dict[str, float]:
    """Train so many epochs after a first that does not count."""
    training, validation = noise(case, case.steps, "training"), noise(case, case.held, "validation")
    turns = Turns(shown, Bare.of(case, training, validation))
    model = compose.logits(case.recipe.build(seed=0))
    with tempfile.TemporaryDirectory() as folder:
        train.fit(
            model,
            training,
            stage=train.Fit(epochs=rounds + 1),
            objectives=objectives(case.recipe),
            validation=validation,
            folder=Path(folder) / "run",
            progress=turns,
        )
    counted = turns.rows[1:]
    return {
        "ratio": statistics.median(ours / bare for _, _, ours, bare in counted),
        "ratio_steps": statistics.median(ours / bare for ours, bare, _, _ in counted),
        "bare_step_ms": 1000 * statistics.median(bare for _, bare, _, _ in counted) / case.steps,
        "epoch_s": statistics.median(ours for _, _, ours, _ in counted),
        "bare_epoch_s": statistics.median(bare for _, _, _, bare in counted),
    }


def drawn() -> train.Progress:
    """A bar that is drawn as on a terminal, into nothing."""
    return train.RichProgress(Console(file=io.StringIO(), force_terminal=True, width=120))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--rounds", type=int, default=5, help="how often each takes its turn")
    parser.add_argument("--only", choices=list(CASES), help="one of the networks")
    options = parser.parse_args()
    results: dict[str, Any] = {"backend": keras.config.backend()}
    for name, case in CASES.items():
        if options.only not in (None, name):
            continue
        for how, shown in (("silent", train.Silent()), ("rich", drawn())):
            found = compare(case, options.rounds, shown)
            results[f"{name}_{how}"] = {key: round(value, 4) for key, value in found.items()}
            if not options.json:
                print(
                    f"{name:9} {how:7} an epoch {found['ratio']:.3f} times as long as the bare loop's (goal: at most"
                    f" 1.03); the steps alone {found['ratio_steps']:.3f}; {case.steps} steps of"
                    f" {found['bare_step_ms']:.1f} ms, {found['epoch_s']:.2f} against {found['bare_epoch_s']:.2f} s",
                    flush=True,
                )
    results["ratio"] = max(row["ratio"] for row in results.values() if isinstance(row, dict))
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
