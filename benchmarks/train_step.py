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
class Clock:
    """Notes when each step ended; it is the progress of ours and the callback of the others."""

    ended: list[float] = field(default_factory=list)

    def on_start(self, epochs: int, steps: int, done: int) -> None: ...
    def on_epoch(self, row: Any) -> None: ...
    def on_end(self) -> None: ...
    def on_step(self, step: int, values: Any) -> None:
        self.ended.append(time.perf_counter())

    def between(self) -> list[float]:
        """Seconds from the end of one step to that of the next."""
        return list(np.diff(self.ended))


def ours(recipe: compose.Recipe, images: np.ndarray, labels: np.ndarray, batch: int) -> Epoch:
    view = compose.logits(recipe.build(seed=0))
    records = data.from_arrays(images, labels, names=tuple("0123456789"))
    batches = data.batches(records, data.Preprocessing(image=recipe.input), size=batch)
    task = recipe.tasks["label"]
    objectives = {"label": train.Objective(task.loss, task.metrics, task.output_activation)}

    def epoch() -> list[float]:
        clock = Clock()
        train.fit(view, batches, stage=train.Fit(epochs=1), objectives=objectives, progress=clock)
        return clock.between()

    return epoch


def plain_keras(
    recipe: compose.Recipe, images: np.ndarray, labels: np.ndarray, batch: int
) -> Callable[[], list[float]]:
    model = compose.logits(recipe.build(seed=0))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    x = images.astype(np.float32) / 255

    def epoch() -> list[float]:
        clock = Clock()
        note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: clock.on_step(batch, logs))
        model.fit(x, labels, batch_size=batch, verbose=0, callbacks=[note])
        return clock.between()

    return epoch


def by_hand(network: nn.Module, images: np.ndarray, labels: np.ndarray, batch: int) -> Epoch:
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters())
    x = torch.from_numpy(images.astype(np.float32) / 255).permute(0, 3, 1, 2)
    y = torch.from_numpy(labels)

    def epoch() -> list[float]:
        clock = Clock()
        for start, places in enumerate(torch.randperm(len(x)).split(batch)):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(
                network(x[places].contiguous(memory_format=torch.channels_last)), y[places]
            ).backward()
            optimizer.step()
            clock.on_step(start, None)
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


def compare(recipe: compose.Recipe, network: nn.Module, batch: int, steps: int, rounds: int) -> dict[str, float]:
    """Let the three train an epoch in turn, ``rounds`` times after a first that does not count.

    A ratio is the median over the rounds, so that a machine that slows down between two rounds does not count.
    """
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch * steps, *recipe.input), np.uint8)
    labels = random.integers(0, 10, len(images)).astype(np.int64)
    ways = {
        "ours": ours(recipe, images, labels, batch),
        "keras": plain_keras(recipe, images, labels, batch),
        "torch": by_hand(network, images, labels, batch),
    }
    names = list(ways)
    rounds_of: list[dict[str, float]] = []
    for number in range(rounds + 1):
        order = names[number % 3 :] + names[: number % 3]  # each is first, second and last equally often
        seconds = {name: statistics.median(ways[name]()) for name in order}
        rounds_of += [seconds] if number else []
    medians = {name: statistics.median(row[name] for row in rounds_of) for name in names}
    ratios = {peer: statistics.median(row[peer] / row["ours"] for row in rounds_of) for peer in ("keras", "torch")}
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
    cases = {
        "small": lambda: compare(SMALL, small_by_hand(), 128, 24, options.rounds),
        "resnet50": lambda: compare(RESNET50, resnet50_by_hand(), 16, 4, options.rounds),
    }
    chosen = {name: case for name, case in cases.items() if options.only in (None, name)}
    results: dict[str, Any] = {"backend": keras.config.backend(), "threads": torch.get_num_threads()}
    for name, case in chosen.items():
        results[name] = {key: round(value, 3) for key, value in case().items()}
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
