"""Training a head on cached features, against training it with the frozen backbone in the loop.

Both are our own ``train.fit``: the one is given what the backbone gave for each photo once, the other reads the JPEGs
and runs the backbone in every epoch, without gradients for it. They take turns in one run; compared are the median
times of an epoch. Also measured is what making the cache costs beside one forward pass over the same photos.

    .venv/bin/python benchmarks/feature_dataset.py [--data FOLDER] [--images 800] [--json]

(a) MobileNet V1 0.25 with global pooling and a head 256-2; (b) VGG16 with random weights, flattened, and a head
512-512-2, on an eighth of the photos. Both at 150×150 in batches of 32. Without the folder, photos are drawn.
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
from typing import Any

import numpy as np
from PIL import Image

from lensmith import backend, compose, data, train
from lensmith.backend import keras
from lensmith.records import Records
from lensmith.reuse.feature_batches import Features
from lensmith.reuse.feature_outputs import outputs_of
from lensmith.reuse.features import features

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SIDE, BATCH = 150, 32
PREPROCESSING = data.Preprocessing(image=(SIDE, SIDE, 3), scaling="-1..1")
OBJECTIVES = {"label": train.Objective("sparse_categorical_crossentropy", ("accuracy",), "softmax")}
HEAD_EPOCHS = 7  # in each turn, of which the first does not count


@dataclass
class Clock(train.Silent):
    """Notes how long each epoch took, and does something between two of them."""

    between: Callable[[], object] = lambda: None
    seconds: list[float] = field(default_factory=list)
    began: float = 0.0

    def on_start(self, epochs: int, steps: int, done: int) -> None:
        self.began = time.perf_counter()

    def on_epoch(self, row: train.Row, waited: float) -> None:
        self.seconds.append(time.perf_counter() - self.began)
        self.between()
        self.began = time.perf_counter()


@dataclass(frozen=True)
class Case:
    """A network whose backbone is frozen, and the photos."""

    model: Any
    freeze: tuple[str, ...]
    records: Records


def mobilenet(records: Records) -> Case:
    published = compose.zoo.get("mobilenet-v1-0.25")
    head = compose.Classify(2, hidden=(256,))
    model = replace(published, input=(SIDE, SIDE, 3), tasks={"label": head}).build(seed=0)
    path = SHARED / "mobilenet_v1_025" / "mobilenet_v1_0.25_224.h5"
    if path.is_file():
        whole = published.build(seed=0)
        compose.weights.load(whole, "mobilenet-v1-0.25", path)
        for layer in whole.layers:
            if layer.weights and not layer.name.startswith("task"):
                model.get_layer(layer.name).set_weights(layer.get_weights())
    return Case(compose.logits(model), ("stem", "learner"), records)


def vgg16(records: Records) -> Case:
    head = compose.Classify(2, pool="flatten", hidden=(512, 512))
    model = replace(compose.zoo.get("vgg16"), input=(SIDE, SIDE, 3), tasks={"label": head}).build(seed=0)
    return Case(compose.logits(model), ("learner",), records)


def head_epochs(made: Features) -> list[float]:
    """Seconds of some epochs of training the head on features."""
    clock = Clock()
    stage = train.Fit(epochs=HEAD_EPOCHS, schedule=train.Constant(), freeze=made.frozen)
    train.fit(made.rest, made.batches(BATCH), stage=stage, objectives=OBJECTIVES, progress=clock)
    return clock.seconds[1:]


def epochs(case: Case, made: Features, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of an epoch with the backbone in the loop, and of one on features: a pair for each round."""
    heads: list[float] = []
    clock = Clock(between=lambda: heads.append(statistics.median(head_epochs(made))))
    batches = data.batches(case.records, PREPROCESSING, size=BATCH)
    stage = train.Fit(epochs=rounds + 1, schedule=train.Constant(), freeze=case.freeze)
    train.fit(case.model, batches, stage=stage, objectives=OBJECTIVES, progress=clock)
    return clock.seconds[1:], heads[1:]  # the first round warms up


def forward(front: Any, records: Records) -> float:
    """Seconds of one pass over the photos as they are for prediction, reading included."""
    began = time.perf_counter()
    for x, _ in data.batches(records, PREPROCESSING, size=BATCH, shuffle=False, exact=True).epoch(0):
        backend.predict(front, x)
    return time.perf_counter() - began


def filling(front: Any, records: Records) -> float:
    """Seconds of the same with a cache to fill."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        outputs_of(front, records, PREPROCESSING, cache=Path(folder) / "features", batch=BATCH)
        return time.perf_counter() - began


def both_passes(front: Any, records: Records, *, swapped: bool) -> tuple[float, float]:
    """Seconds of a forward pass and of filling a cache, one or the other first."""
    if swapped:
        cached = filling(front, records)
        return forward(front, records), cached
    return forward(front, records), filling(front, records)


def measured(case: Case, rounds: int) -> dict[str, float]:
    """Ratios are medians over the rounds, so that a machine that slows down between two rounds does not count."""
    made = features(case.model, case.records, PREPROCESSING, freeze=case.freeze, cache=None, batch=BATCH)
    passes = [both_passes(made.front, case.records, swapped=bool(turn % 2)) for turn in range(rounds)]
    loop, heads = epochs(case, made, rounds)
    return {
        "images": len(case.records),
        "ratio": statistics.median(a / b for a, b in zip(loop, heads, strict=True)),
        "backbone_in_loop_s": statistics.median(loop),
        "on_features_s": statistics.median(heads),
        "on_features_ms_a_step": 1000 * statistics.median(heads) / -(-len(case.records) // BATCH),
        "forward_s": statistics.median(one for one, _ in passes),
        "cache_s": statistics.median(one for _, one in passes),
        "cache_cost": statistics.median(b / a for a, b in passes),
    }


def drawn(folder: Path, count: int) -> Path:
    """Photos of 375×500 pixels, as large as those of pets usually are, in two class folders."""
    random = np.random.default_rng(0)
    for place in range(count):
        path = folder / "ab"[place % 2] / f"{place:04}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((500, 375))
        Image.fromarray((np.asarray(coarse) * 0.9 + random.integers(0, 25, (375, 500, 1))).astype(np.uint8)).save(path)
    return folder


def evenly(records: Records, count: int) -> Records:
    """So many of the records, spread over all."""
    count = min(count, len(records))
    return records.select(place * len(records) // count for place in range(count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED / "cats_vs_dogs" / "train", help="photos in class folders")
    parser.add_argument("--images", type=int, default=800, help="for MobileNet; VGG16 gets an eighth of them")
    parser.add_argument("--rounds", type=int, default=3, help="how often each takes its turn")
    parser.add_argument("--only", choices=["mobilenet", "vgg16"], help="one of the two networks")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    makers = {
        "mobilenet": (mobilenet, options.images),
        "vgg16": (vgg16, max(BATCH, options.images // 8 // BATCH * BATCH)),
    }
    results: dict[str, Any] = {"backend": keras.config.backend(), "threads": backend.threads()}
    with tempfile.TemporaryDirectory() as made:
        records = data.read(options.data if options.data.is_dir() else drawn(Path(made), options.images))
        for name, (make, count) in makers.items():
            if options.only in (None, name):
                found = measured(make(evenly(records, count)), options.rounds)
                results[name] = {key: round(value, 4) for key, value in found.items()}
    rows = {name: row for name, row in results.items() if isinstance(row, dict)}
    results["ratio"] = min(row["ratio"] for row in rows.values())
    results["cache_cost"] = max(row["cache_cost"] for row in rows.values())
    if options.json:
        print(json.dumps(results))
        return
    print(
        f"backend {results['backend']}, {results['threads']} threads; an epoch of training the head, reading included"
    )
    print("            photos   in the loop   on features     ratio   cache : one forward pass")
    for name, row in rows.items():
        print(
            f"{name:11} {row['images']:6.0f} {row['backbone_in_loop_s']:11.2f} s {row['on_features_s']:11.4f} s"
            f" {row['ratio']:8.1f}×  {row['cache_s']:6.2f} s : {row['forward_s']:.2f} s = {row['cache_cost']:.2f}"
        )


if __name__ == "__main__":
    main()
