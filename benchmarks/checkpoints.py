"""What checkpoints cost: ResNet-18 at 128×128, one every 100 steps, in time and on the disk.

Training for hundreds of steps twice would take half an hour here, and the machine's speed changes meanwhile. So one run
writes a checkpoint every few steps; the time from a step to the next is longer by the checkpoint where one was written
between them. The cost is that difference over 100 of the steps without one.

The disk is watched while the run goes on: it holds ``keep`` checkpoints, the best one and the one being written,
however long it is.

    .venv/bin/python benchmarks/checkpoints.py [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lensmith import compose, data, train
from lensmith.backend import keras
from lensmith.runs import objectives

SIDE, BATCH, PER, EVERY = 128, 16, 100, 6
RESNET18 = replace(compose.zoo.get("resnet18-v2"), input=(SIDE, SIDE, 3), tasks={"label": compose.Classify(10)})
MIB = 2**20


@dataclass
class Clock(train.Silent):
    """Notes when each step ended."""

    ended: dict[int, float] = field(default_factory=dict)

    def on_step(self, step: int, values: Callable[[], dict[str, float]], waited: float) -> None:
        values()  # waits for the device, so that a step is not counted with the next
        self.ended[step] = time.perf_counter()


@dataclass
class Disk:
    """The most bytes that a folder has held."""

    folder: Path
    most: int = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look every few milliseconds, from another thread, until the end of the block."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(0.02):
                self.most = max(self.most, self.bytes())

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def bytes(self) -> int:
        return sum(_size(Path(place) / name) for place, _, names in os.walk(self.folder) for name in names)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except FileNotFoundError:  # renamed or deleted meanwhile
        return 0


def run(folder: Path, checkpoints: int) -> tuple[Clock, Disk]:
    """Train for one epoch with so many checkpoints in it."""
    random = np.random.default_rng(0)
    steps = EVERY * (checkpoints + 1)
    images = random.integers(0, 256, (BATCH * steps, SIDE, SIDE, 3), np.uint8)
    records = data.from_arrays(images, np.arange(len(images)) % 10)
    batches = data.batches(records, data.Preprocessing(image=(SIDE, SIDE, 3)), size=BATCH)
    clock, disk = Clock(), Disk(folder)
    stage = train.Fit(epochs=1, checkpoint_every=EVERY)
    model = compose.logits(RESNET18.build(seed=0))
    with disk.watched():
        train.fit(model, batches, stage=stage, objectives=objectives(RESNET18), folder=folder, progress=clock)
    return clock, disk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--checkpoints", type=int, default=8, help="how many to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clock, disk = run(Path(folder) / "run", options.checkpoints)
        one = max(disk.bytes() for disk in map(Disk, (Path(folder) / "run" / "checkpoints").iterdir()))
    seconds = {step: clock.ended[step] - clock.ended[step - 1] for step in clock.ended if step > EVERY}
    with_one = statistics.median(took for step, took in seconds.items() if step % EVERY == 1)
    without = statistics.median(took for step, took in seconds.items() if step % EVERY != 1)
    share = round((with_one - without) / (PER * without), 4)
    found = {
        "backend": keras.config.backend(),
        "share": share,
        "ratio": round(1 + share, 4),
        "checkpoint_s": round(with_one - without, 3),
        "step_s": round(without, 3),
        "checkpoint_mib": round(one / MIB),
        "disk_mib": round(disk.most / MIB),
    }
    if options.json:
        print(json.dumps(found))
        return
    print(f"ResNet-18, {SIDE}x{SIDE}, batch {BATCH}: a step takes {without:.2f} s,")
    print(f"a checkpoint {with_one - without:.2f} s.")
    print(f"One every {PER} steps costs {found['share']:.1%} of the time (goal: under 3 %).")
    print(f"A checkpoint takes {found['checkpoint_mib']} MiB, all of them at most {found['disk_mib']} MiB at any time.")


if __name__ == "__main__":
    main()
