"""A training step: our ``fit`` against plain Keras' ``fit`` on the same backend, and a loop written by hand in PyTorch.

The three take turns in one process, on the same network and data, and are compared by the median time between two
steps; a ratio above 1 means that ours is faster. ``--json`` prints the ratios as one document.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from lensmith import compose, data, train
from lensmith.backend import keras

Epoch = Callable[[], list[float]]  # trains one epoch; gives the seconds between its steps

SMALL = compose.Recipe(
    input=(32, 32, 3),
    stem=None,
    learner=compose.Groups(compose.Group(compose.Conv(padding="valid"), filters=(32, 64), pool=2)),
    tasks={"label": compose.Classify(10, pool="flatten", hidden=(128,))},
)
RESNET50 = replace(compose.zoo.get("resnet50-v1.5"), input=(128, 128, 3), tasks={"label": compose.Classify(10)})


@dataclass
class Clock(train.Silent):
    """Notes when each step ended; it is the progress of ours and the callback of the others."""

    turn: Callable[[list[float]], None] = lambda seconds: None  # what happens after each of our epochs
    ended: list[float] = field(default_factory=list)

    def on_step(self, step: int, values: Any, waited: float) -> None:
        self.ended.append(time.perf_counter())

    def on_epoch(self, row: Any, waited: float) -> None:
        self.turn(self.between())
        self.ended.clear()

    def between(self) -> list[float]:
        """Seconds from the end of one step to that of the next."""
        return list(np.diff(self.ended))


@dataclass(frozen=True)
class Case:
    """A network and what it is trained on."""

    recipe: compose.Recipe
    by_hand: Callable[[], nn.Module]
    batch: int
    steps: int

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Noise and chance labels: how long a step takes does not depend on what is in them."""
        random = np.random.default_rng(0)
        images = random.integers(0, 256, (self.batch * self.steps, *self.recipe.input), np.uint8)
        return images, random.integers(0, 10, len(images)).astype(np.int64)


def ours(case: Case, epochs: int, turn: Callable[[list[float]], None]) -> None:
    """Train so many epochs; after each, ``turn`` is given the seconds between its steps, and lets the others train."""
    records = data.from_arrays(*case.data(), names=tuple("0123456789"))
    batches = data.batches(records, data.Preprocessing(image=case.recipe.input), size=case.batch)
    task = case.recipe.tasks["label"]
    objectives = {"label": train.Objective(task.loss, task.metrics, task.output_activation)}
    view = compose.logits(case.recipe.build(seed=0))
    stage = train.Fit(epochs=epochs, schedule=train.Constant())
    train.fit(view, batches, stage=stage, objectives=objectives, progress=Clock(turn))


def plain_keras(case: Case) -> Epoch:
    images, labels = case.data()
    model = compose.logits(case.recipe.build(seed=0))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    x = images.astype(np.float32) / 255

    def epoch() -> list[float]:
        clock = Clock()
        note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: clock.on_step(batch, logs, 0.0))
        model.fit(x, labels, batch_size=case.batch, verbose=0, callbacks=[note])
        return clock.between()

    return epoch


def by_hand(case: Case) -> Epoch:
    images, labels = case.data()
    network = case.by_hand().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters())
    x = torch.from_numpy(images.astype(np.float32) / 255).permute(0, 3, 1, 2)
    y = torch.from_numpy(labels)

    def epoch() -> list[float]:
        clock = Clock()
        for start, places in enumerate(torch.randperm(len(x)).split(case.batch)):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(
                network(x[places].contiguous(memory_format=torch.channels_last)), y[places]
            ).backward()
            optimizer.step()
            clock.on_step(start, None, 0.0)
        return clock.between()

    return epoch


def small_by_hand() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 14 * 14, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


class BottleneckByHand(nn.Module):
    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, filters, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(),
            nn.Conv2d(filters, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(),
            nn.Conv2d(filters, 4 * filters, 1, bias=False), nn.BatchNorm2d(4 * filters),
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != 4 * filters:
            conv = nn.Conv2d(channels, 4 * filters, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(4 * filters))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet50_by_hand() -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
    ]  # fmt: skip
    channels = 64
    for filters, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(blocks):
            layers.append(BottleneckByHand(channels, filters, stride if i == 0 else 1))
            channels = 4 * filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 10))


def compare(case: Case, rounds: int) -> dict[str, float]:
    """Let the three train an epoch in turn, ``rounds`` times after a first that does not count.

    A ratio is the median over the rounds, so that a machine that slows down between two rounds does not count.
    """
    peers = {"keras": plain_keras(case), "torch": by_hand(case)}
    found: list[dict[str, float]] = []

    def turn(seconds: list[float]) -> None:
        others = {name: statistics.median(epoch()) for name, epoch in peers.items()}
        found.append({"ours": statistics.median(seconds), **others})

    ours(case, rounds + 1, turn)
    counted = found[1:]
    medians = {name: statistics.median(row[name] for row in counted) for name in counted[0]}
    ratios = {peer: statistics.median(row[peer] / row["ours"] for row in counted) for peer in peers}
    return {
        "ratio_to_keras": ratios["keras"],
        "ratio_to_torch_by_hand": ratios["torch"],
        **{f"{name}_ms": 1000 * seconds for name, seconds in medians.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--rounds", type=int, default=6, help="how often each takes its turn")
    parser.add_argument("--only", choices=["small", "resnet50"], help="one of the two networks")
    options = parser.parse_args()
    cases = {"small": Case(SMALL, small_by_hand, 128, 12), "resnet50": Case(RESNET50, resnet50_by_hand, 16, 4)}
    chosen = {name: case for name, case in cases.items() if options.only in (None, name)}
    results: dict[str, Any] = {"backend": keras.config.backend(), "threads": torch.get_num_threads()}
    for name, case in chosen.items():
        results[name] = {key: round(value, 3) for key, value in compare(case, options.rounds).items()}
    if options.json:
        print(json.dumps(results))
        return
    print(f"backend {results['backend']}, {results['threads']} threads; a ratio above 1: ours is faster")
    for name in chosen:
        row = results[name]
        print(
            f"{name:9} to Keras' fit {row['ratio_to_keras']:.2f}   to PyTorch by hand"
            f" {row['ratio_to_torch_by_hand']:.2f}   (ms a step: ours {row['ours_ms']:.0f},"
            f" Keras {row['keras_ms']:.0f}, by hand {row['torch_ms']:.0f})"
        )


if __name__ == "__main__":
    main()
