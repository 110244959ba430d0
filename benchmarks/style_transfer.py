"""Style transfer: our ``stylize`` against the same method by hand in PyTorch, or by TensorFlow's tutorial.

Both paint the same picture with the same weights, layers, losses and Adam, each in a process of its own, in turn; they
are compared by the median time of a step, and by the loss they come to. A ratio above 1 means that ours is faster.
``--json`` prints one document. Where other programs run, ``OMP_NUM_THREADS=1`` with ``--cpu`` counts processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

GROUPS = (2, 2, 4, 4, 4)  # convolutions of VGG19
STYLE = [f"block{group}_conv1" for group in range(1, 6)]
CONTENT = "block5_conv2"
RATE, EPSILON = 0.02, 1e-12
STYLE_WEIGHT, VARIATION_WEIGHT = 500.0, 30.0


def prepared(folder: Path, weights: str | None, size: int) -> Path:
    """Two pictures, square and of one size, and the weights of the layers there are, as both are to take them."""
    from sklearn.datasets import load_sample_images

    from lensmith.data.resampling import resize
    from lensmith.stylize.network import open_network

    images = [image[:, 100 : 100 + image.shape[0]] for image in load_sample_images().images]
    arrays = {name: resize(image, (size, size)) / 255 for name, image in zip(("content", "style"), images, strict=True)}
    network = open_network("vgg19", [*STYLE, CONTENT], weights=weights, random=weights is None)
    used = {asked: dict(network.replaced).get(asked, asked) for asked in (*STYLE, CONTENT)}
    for number, blocks in enumerate(GROUPS, start=1):
        for block in range(1, blocks + 1):
            kernel, bias = network.model.get_layer(f"learner-group{number}-block{block}-conv").get_weights()
            arrays[f"block{number}_conv{block}"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
            arrays[f"block{number}_conv{block}.bias"] = bias
    path = folder / f"{size}.npz"
    np.savez(path, used=json.dumps(used), **{name: array.astype(np.float32) for name, array in arrays.items()})
    return path


def ours(path: Path, weights: str | None, steps: int, clock: Any) -> dict[str, Any]:
    """As ``lensmith stylize`` paints."""
    from lensmith.stylize.network import open_network
    from lensmith.stylize.painting import paint
    from lensmith.stylize.settings import Settings

    file = dict(np.load(path))
    content, style = file["content"], file["style"]
    network = open_network("vgg19", [*STYLE, CONTENT], weights=weights, random=weights is None)
    settings = Settings(
        size=len(content), levels=1, steps=steps, optimizer="adam", rate=RATE, start="content",
        content_weight=1.0, style_weight=STYLE_WEIGHT, variation_weight=VARIATION_WEIGHT,
        content_layers={CONTENT: 1.0}, style_layers=dict.fromkeys(STYLE, 1.0),
    )  # fmt: skip
    ends: list[float] = []
    painting = paint(content, [style], network, settings, progress=lambda moment: ends.append(clock()))
    return {"seconds": np.diff(ends).tolist(), "losses": painting.losses}


def by_hand(path: Path, steps: int, clock: Any) -> dict[str, Any]:
    """As one writes it down: channels first, Adam of torch, Gram matrices of flattened maps."""
    import torch
    from torch.nn import functional

    file = dict(np.load(path))
    used = json.loads(str(file["used"]))
    weights = {
        name: (torch.from_numpy(file[name]), torch.from_numpy(file[f"{name}.bias"]))
        for name in (f"block{g}_conv{b}" for g, blocks in enumerate(GROUPS, 1) for b in range(1, blocks + 1))
    }
    mean = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    wanted = set(used.values())

    def features(x: torch.Tensor) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = {}
        x = x.flip(1) * 255 - mean
        for group, blocks in enumerate(GROUPS, start=1):
            for block in range(1, blocks + 1):
                name = f"block{group}_conv{block}"
                x = functional.relu(functional.conv2d(x, *weights[name], padding=1))
                if name in wanted:
                    found[name] = x
                if found.keys() == wanted:
                    return found
            x = functional.max_pool2d(x, 2)
        return found

    def gram(maps: torch.Tensor) -> torch.Tensor:
        flat = maps.flatten(2)[0]
        return flat @ flat.T / flat.shape[1]

    x, style = (torch.from_numpy(file[name]).permute(2, 0, 1)[None].contiguous() for name in ("content", "style"))
    with torch.no_grad():
        target = features(x)[used[CONTENT]]
        found = features(style)
        # A layer that stands for several counts once.
        grams = {layer: gram(found[layer]) for layer in dict.fromkeys(used[asked] for asked in STYLE)}
    # As ours: maps divided by their root mean square on the image that they are compared with.
    factors = {layer: 1 / (matrix.trace() / len(matrix)) for layer, matrix in grams.items()}
    factor = 1 / target.square().mean()

    def loss_of(x: torch.Tensor) -> torch.Tensor:
        maps = features(x)
        loss = factor * functional.mse_loss(maps[used[CONTENT]], target)
        for layer, aim in grams.items():
            away = (gram(maps[layer]) - aim) * factors[layer]
            loss = loss + STYLE_WEIGHT / len(grams) * away.square().sum() / (4 * len(away) ** 2)
        down, across = x[:, :, 1:] - x[:, :, :-1], x[..., 1:] - x[..., :-1]
        rough = (down.square().sum() + across.square().sum()) / (down.numel() + across.numel())
        return loss + VARIATION_WEIGHT * rough

    x.requires_grad_(True)
    optimizer = torch.optim.Adam([x], lr=RATE, eps=EPSILON)
    losses, ends = [], []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(x)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            x.clamp_(0, 1)
        losses.append(float(loss.detach()))
        ends.append(clock())
    with torch.no_grad():
        losses.append(float(loss_of(x)))
    return {"seconds": np.diff(ends).tolist(), "losses": losses}


def by_tutorial(path: Path, steps: int, clock: Any) -> dict[str, Any]:
    """As TensorFlow's tutorial has it: ``tf.function``, a tape, ``einsum`` for the Gram matrices, Adam of Keras."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # the process that began this one may have named another
    import keras
    import tensorflow as tf

    file = dict(np.load(path))
    used = json.loads(str(file["used"]))
    names = [f"block{g}_conv{b}" for g, blocks in enumerate(GROUPS, 1) for b in range(1, blocks + 1)]
    kernels = {name: tf.constant(file[name].transpose(2, 3, 1, 0)) for name in names}
    biases = {name: tf.constant(file[f"{name}.bias"]) for name in names}
    wanted = set(used.values())

    def features(x: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        x = x[..., ::-1] * 255 - tf.constant([103.939, 116.779, 123.68])
        for name in names:
            if name.endswith("conv1") and name != names[0]:
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernels[name], 1, "SAME"), biases[name]))
            if name in wanted:
                found[name] = x
            if found.keys() == wanted:
                break
        return found

    def gram(maps: Any) -> Any:
        positions = tf.cast(tf.shape(maps)[1] * tf.shape(maps)[2], tf.float32)
        return tf.linalg.einsum("bijc,bijd->bcd", maps, maps)[0] / positions

    image = tf.Variable(file["content"][None])
    target = features(image)[used[CONTENT]]
    found = features(tf.constant(file["style"][None]))
    grams = {layer: gram(found[layer]) for layer in dict.fromkeys(used[asked] for asked in STYLE)}
    factors = {layer: len(aim) / tf.linalg.trace(aim) for layer, aim in grams.items()}
    factor = 1 / tf.reduce_mean(tf.square(target))

    def loss_of(x: Any) -> Any:
        maps = features(x)
        loss = factor * tf.reduce_mean(tf.square(maps[used[CONTENT]] - target))
        for layer, aim in grams.items():
            away = (gram(maps[layer]) - aim) * factors[layer]
            loss += STYLE_WEIGHT / len(grams) * tf.reduce_mean(tf.square(away)) / 4
        down, across = x[:, 1:] - x[:, :-1], x[:, :, 1:] - x[:, :, :-1]
        count = tf.cast(tf.size(down) + tf.size(across), tf.float32)
        return loss + VARIATION_WEIGHT * (tf.reduce_sum(tf.square(down)) + tf.reduce_sum(tf.square(across))) / count

    optimizer = keras.optimizers.Adam(RATE, epsilon=EPSILON)

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(image)
        optimizer.apply_gradients([(tape.gradient(loss, image), image)])
        image.assign(tf.clip_by_value(image, 0.0, 1.0))
        return loss

    losses, ends = [], []
    for _ in range(steps):
        losses.append(float(step()))
        ends.append(clock())
    losses.append(float(loss_of(image)))
    return {"seconds": np.diff(ends).tolist(), "losses": losses}


PAINTERS = {"torch": by_hand, "tensorflow": by_tutorial}


def compare(
    weights: str | None, size: int, steps: int, rounds: int, *, cpu: bool, peer: str = "torch", python: str = ""
) -> dict[str, float]:
    """Let both paint in turn; the ratio is the median over the rounds of that of their median steps."""
    with tempfile.TemporaryDirectory() as folder:
        path = prepared(Path(folder), weights, size)
        found: dict[str, list[dict[str, Any]]] = {"ours": [], peer: []}
        for _ in range(rounds):
            for who, results in found.items():
                options = ["--one", who, "--file", str(path), "--steps", str(steps)]
                options += [] if weights is None else ["--weights", weights]
                options += ["--cpu"] if cpu else []
                own = sys.executable if who == "ours" else python or sys.executable
                done = subprocess.run([own, __file__, *options], check=True, capture_output=True, text=True)
                results.append(json.loads(done.stdout.splitlines()[-1]))
    # The first steps of each wait for memory and for what is set up once.
    times = {who: [statistics.median(result["seconds"][1:]) for result in results] for who, results in found.items()}
    ratios = [theirs / own for theirs, own in zip(times[peer], times["ours"], strict=True)]
    losses = {who: results[0]["losses"][-1] for who, results in found.items()}
    return {
        "ratio": statistics.median(ratios),
        "steps_per_second": 1 / statistics.median(times["ours"]),
        "steps_per_second_by_hand": 1 / statistics.median(times[peer]),
        "first_loss": found["ours"][0]["losses"][0],
        "first_loss_by_hand": found[peer][0]["losses"][0],
        "last_loss": losses["ours"],
        "last_loss_by_hand": losses[peer],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--weights", help="a file for VGG19, which may end early; left out, random ones")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512], help="of the picture, in pixels")
    parser.add_argument("--steps", type=int, default=12, help="of each painting")
    parser.add_argument("--rounds", type=int, default=3, help="how often each takes its turn")
    parser.add_argument("--cpu", action="store_true", help="count processor time, not that on the wall")
    parser.add_argument(
        "--tensorflow", metavar="PYTHON", help="compare with TensorFlow's tutorial, in the environment of this Python"
    )
    parser.add_argument("--one", choices=["ours", *PAINTERS], help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    clock = time.process_time if options.cpu else time.perf_counter
    if options.one is not None:
        one, steps = options.one, options.steps
        own = one == "ours"
        made = ours(options.file, options.weights, steps, clock) if own else PAINTERS[one](options.file, steps, clock)
        print(json.dumps(made))
        return
    results: dict[str, dict[str, float]] = {}
    peer = "tensorflow" if options.tensorflow else "torch"
    for size in options.sizes:
        results[str(size)] = compare(
            options.weights, size, options.steps, options.rounds,
            cpu=options.cpu, peer=peer, python=options.tensorflow or "",
        )  # fmt: skip
    if options.json:
        print(json.dumps(results))
        return
    theirs = "TensorFlow's tutorial" if options.tensorflow else "PyTorch by hand"
    for size, row in results.items():
        print(
            f"{size} pixels: {row['ratio']:.2f} times the steps of {theirs} ({row['steps_per_second']:.2f} and"
            f" {row['steps_per_second_by_hand']:.2f} a second); loss {row['first_loss']:.5g} to"
            f" {row['last_loss']:.5g}, by hand {row['first_loss_by_hand']:.5g} to {row['last_loss_by_hand']:.5g}"
        )


if __name__ == "__main__":
    main()
