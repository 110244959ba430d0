"""What augmentation costs a training: ResNet-18 at 128×128 on photos, with and without it.

The same model is trained for an epoch with augmented and for an epoch with plain batches, in turn; what is compared is
the median time between two steps. The ratio says how much longer a step takes: 1.05 is 5 % more.

    .venv/bin/python benchmarks/augmented_training.py [FOLDER] [--json]

FOLDER holds photos in class folders; without one, the script draws them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from lensmith import compose, data, train
from lensmith.records import Records
from lensmith.runs.aims import objectives

SIDE, BATCH, STEPS, ROUNDS = 128, 32, 8, 5
CHANGES = data.Augment(flip="horizontal", rotate=15, shift=0.1, zoom=(0.9, 1.1), shear=5, brightness=0.2, contrast=0.2)
RESNET18 = replace(compose.zoo.get("resnet18-v2"), input=(SIDE, SIDE, 3), tasks={"label": compose.Classify(2)})


@dataclass
class Clock(train.Silent):
    """Notes when each step ended."""

    ended: list[float] = field(default_factory=list)
    waited: float = 0.0

    def on_step(self, step: int, values: Callable[[], dict[str, float]], waited: float) -> None:
        self.ended.append(time.perf_counter())
        self.waited = waited


def epoch(model: object, records: Records, augment: data.Augment | None, seed: int) -> tuple[list[float], float]:
    """The seconds between the steps of one epoch, and the part of the time that data were waited for."""
    batches = data.batches(records, data.Preprocessing(image=(SIDE, SIDE, 3)), size=BATCH, seed=seed, augment=augment)
    clock = Clock()
    train.fit(model, batches, stage=train.Fit(epochs=1), objectives=objectives(RESNET18), seed=seed, progress=clock)
    return np.diff(clock.ended).tolist(), clock.waited


def drawn(folder: Path) -> Path:
    """Photos of 375×500 pixels, as large as those of pets usually are, in two class folders."""
    random = np.random.default_rng(0)
    for place in range(BATCH * (STEPS + 1)):
        path = folder / "ab"[place % 2] / f"{place:03}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((500, 375))
        Image.fromarray((np.asarray(coarse) * 0.9 + random.integers(0, 25, (375, 500, 1))).astype(np.uint8)).save(path)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        records = data.read(arguments.folder or drawn(Path(made)))
        records = records.select(range(0, len(records), max(1, len(records) // (BATCH * (STEPS + 1)))))
        model = compose.logits(RESNET18.build(seed=0))
        seconds: dict[str, list[float]] = {"plain": [], "augmented": []}
        waited: dict[str, list[float]] = {"plain": [], "augmented": []}
        for turn in range(ROUNDS + 1):  # the first round warms up
            for name, augment in (("plain", None), ("augmented", CHANGES)):
                steps, share = epoch(model, records, augment, seed=turn)
                if turn:
                    seconds[name] += steps
                    waited[name].append(share)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    ratio = medians["augmented"] / medians["plain"]
    shares = {name: statistics.median(found) for name, found in waited.items()}
    if arguments.json:
        print(json.dumps({"ratio": ratio, "seconds": medians, "waited": shares}))
        return
    print(f"ResNet-18, {SIDE}x{SIDE}, batch {BATCH}: a step takes {medians['plain']:.3f} s on plain images,")
    print(f"{medians['augmented']:.3f} s on augmented ones: {ratio:.3f} times as long (goal: at most 1.05).")
    print(f"Waiting for data: {shares['plain']:.1%} and {shares['augmented']:.1%} of the time.")


if __name__ == "__main__":
    main()
