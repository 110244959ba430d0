"""Networks of the zoo: ours against keras.applications on the same backend, and against PyTorch written by hand.

Three take turns in one process: a forward pass, a prediction (arrays in, arrays out) and a training step with Adam. A
ratio above 1 means that ours is faster. Recipes are also built, against keras.applications alone. ``--json`` prints
the ratios as one document.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from lensmith import backend, compose, train
from lensmith.backend import keras
from lensmith.train.compiled import compiled
from lensmith.train.optimizers import build

CLASSES = 10
Work = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """A network in three forms, and the images it is given."""

    recipe: str
    application: str
    by_hand: Callable[[int], nn.Module]
    size: int
    batch: int

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(0)
        images = random.random((self.batch, self.size, self.size, 3), np.float32)
        return images, random.integers(0, CLASSES, self.batch)


# By hand: the way a PyTorch user would write it for speed, with activations in place.


def normed(channels: int, filters: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(filters)]


class Sum(nn.Module):
    """A body and what goes past it, added up."""

    def __init__(self, body: list[nn.Module], shortcut: list[nn.Module], *, activated: bool) -> None:
        super().__init__()
        self.body, self.shortcut, self.activated = nn.Sequential(*body), nn.Sequential(*shortcut), activated

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.body(x) + self.shortcut(x)
        return functional.relu_(y) if self.activated else y


def resnet50(size: int) -> nn.Module:
    layers, channels = [*normed(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)], 64
    for filters, blocks, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(blocks):
            stride = first if i == 0 else 1
            narrow = [*normed(channels, filters, 1), nn.ReLU(inplace=True)]
            wide = [*normed(filters, filters, 3, stride), nn.ReLU(inplace=True), *normed(filters, 4 * filters, 1)]
            shortcut = normed(channels, 4 * filters, 1, stride) if i == 0 else []
            layers.append(Sum([*narrow, *wide], shortcut, activated=True))
            channels = 4 * filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))


def mobilenet_v2(size: int) -> nn.Module:
    layers, channels = [*normed(3, 32, 3, 2), nn.ReLU6(inplace=True)], 32
    groups = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for times, filters, blocks, first in groups:
        for i in range(blocks):
            stride, inner = first if i == 0 else 1, channels * times
            wide = [*normed(channels, inner, 1), nn.ReLU6(inplace=True)] if times > 1 else []
            depthwise = [*normed(inner, inner, 3, stride, inner), nn.ReLU6(inplace=True)]
            body = [*wide, *depthwise, *normed(inner, filters, 1)]
            layers += [Sum(body, [], activated=False)] if stride == 1 and channels == filters else body
            channels = filters
    layers += [*normed(channels, 1280, 1), nn.ReLU6(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, CLASSES))


def vgg16(size: int) -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for filters, blocks in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(blocks):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    layers.append(nn.Flatten())
    for wide in (512 * (size // 32) ** 2, 4096):
        layers += [nn.Linear(wide, 4096), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(4096, CLASSES))


CASES = {
    "resnet50": Case("resnet50-v1.5", "ResNet50", resnet50, 128, 16),
    "mobilenet-v2": Case("mobilenet-v2", "MobileNetV2", mobilenet_v2, 96, 32),
    "vgg16": Case("vgg16", "VGG16", vgg16, 96, 8),
}
BUILDS = {"resnet152-v1": "ResNet152", "densenet201": "DenseNet201", "mobilenet-v2": "MobileNetV2"}


def ours(case: Case) -> dict[str, Work]:
    images, labels = case.data()
    tasks = {"label": replace(compose.zoo.get(case.recipe).tasks["label"], classes=CLASSES)}
    recipe = replace(compose.zoo.get(case.recipe), input=(case.size, case.size, 3), tasks=tasks)
    model = compose.logits(recipe.build(seed=0))
    task = recipe.tasks["label"]
    objectives = {"label": train.Objective(task.loss, task.metrics, task.output_activation)}
    stage = compiled(model, objectives, build(train.Fit(schedule=train.Constant()), steps=1))
    stage.build(images, labels)

    def forward() -> Any:
        with torch.no_grad():
            return model(images, training=False)

    return {
        "forward": forward,
        "predict": lambda: backend.predict(model, images),
        "train": lambda: float(stage.train(images, labels)["loss"]),
    }


def plain(case: Case) -> dict[str, Work]:
    images, labels = case.data()
    application = getattr(keras.applications, case.application)
    shape = (case.size, case.size, 3)
    model = application(weights=None, input_shape=shape, classes=CLASSES, classifier_activation=None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(), loss, metrics=["accuracy"])

    def forward() -> Any:
        with torch.no_grad():
            return model(images, training=False)

    return {
        "forward": forward,
        "predict": lambda: model.predict_on_batch(images),
        "train": lambda: model.train_on_batch(images, labels),
    }


def by_hand(case: Case) -> dict[str, Work]:
    images, labels = case.data()
    network = case.by_hand(case.size).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters())
    correct = [0]

    def forward() -> Any:
        network.eval()
        with torch.inference_mode():
            return network(torch.from_numpy(images).permute(0, 3, 1, 2))

    def step() -> float:
        network.train()
        y = torch.from_numpy(labels)
        optimizer.zero_grad()
        outputs = network(torch.from_numpy(images).permute(0, 3, 1, 2))
        loss = functional.cross_entropy(outputs, y)
        loss.backward()
        optimizer.step()
        correct[0] += int((outputs.argmax(1) == y).sum())
        return loss.item()

    return {"forward": forward, "predict": lambda: forward().numpy(), "train": step}


def in_turn(works: Mapping[str, Work], rounds: int) -> list[dict[str, float]]:
    """The seconds that each takes, round by round, after a first that does not count."""
    found = []
    for _ in range(rounds + 1):
        row = {}
        for name, work in works.items():
            began = time.perf_counter()
            work()
            row[name] = time.perf_counter() - began
        found.append(row)
    return found[1:]


def summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Medians of the ratios in each round, so that a machine that changes its speed between rounds does not count."""
    peers = [name for name in rows[0] if name != "ours"]
    ratios = {f"to_{peer}": statistics.median(row[peer] / row["ours"] for row in rows) for peer in peers}
    return ratios | {f"{name}_ms": 1000 * statistics.median(row[name] for row in rows) for name in rows[0]}


def compare(case: Case, rounds: int) -> dict[str, dict[str, float]]:
    sides = {"ours": ours(case), "keras": plain(case), "torch": by_hand(case)}
    works = ("forward", "predict", "train")
    return {work: summary(in_turn({name: side[work] for name, side in sides.items()}, rounds)) for work in works}


def compare_builds(rounds: int) -> dict[str, dict[str, float]]:
    """How long it takes to make a recipe into a model with initial weights."""
    found = {}
    for name, application in BUILDS.items():
        recipe, theirs = compose.zoo.get(name), getattr(keras.applications, application)
        works = {"ours": lambda r=recipe: r.build(seed=0), "keras": lambda a=theirs: a(weights=None)}
        found[name] = summary(in_turn(works, rounds))
    return found


def line(name: str, row: Mapping[str, float]) -> str:
    ratios = "   ".join(f"{key.replace('_', ' ')} {value:5.2f}" for key, value in row.items() if key.startswith("to_"))
    seconds = ", ".join(f"{key[:-3]} {value:.0f}" for key, value in row.items() if key.endswith("_ms"))
    return f"{name:24} {ratios}   (ms: {seconds})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--rounds", type=int, default=7, help="how often each takes its turn")
    parser.add_argument("--only", choices=[*CASES, "build"], help="one of the networks, or how they are built")
    options = parser.parse_args()
    results: dict[str, Any] = {name: case for name, case in CASES.items() if options.only in (None, name)}
    results = {name: compare(case, options.rounds) for name, case in results.items()}
    if options.only in (None, "build"):
        results["build"] = compare_builds(max(1, options.rounds // 3))
    if options.json:
        print(json.dumps({"backend": keras.config.backend(), "threads": torch.get_num_threads()} | results))
        return
    print(f"backend {keras.config.backend()}, {torch.get_num_threads()} threads; a ratio above 1: ours is faster")
    for name, rows in results.items():
        for work, row in rows.items():
            print(line(f"{name} {work}", row))


if __name__ == "__main__":
    main()
