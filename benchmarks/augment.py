"""Rotation, shift, zoom, shear, flip and brightness to 150x150: ours against Keras' layers and OpenCV chains by hand.

All take turns in one process, on batches of 32 images; a ratio is the median over the rounds of a peer's time over
ours, and one above 1 means that ours is faster. Two sources: photos of 375x500, and images that already have 150x150.

- Keras: its six layers on the CPU, which run on all cores; its images are given to it resized and as float32, in no
  time. Ours, which here includes the resize, spreads over as many threads.
- OpenCV, an operation at a time: averaged to 150x150, then one warp each for rotation, shift, zoom and shear.
- OpenCV, one warp: averaged to 150x150, then one matrix made of the four by numpy.
- OpenCV, unaveraged: one matrix and one warp from the photo itself; faster, but pixels between are skipped, so that
  fine patterns flicker.

Against OpenCV both go through the images in one plain loop. ``--json`` prints the ratios as one document.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from sklearn.datasets import load_sample_images

from lensmith.backend import keras
from lensmith.data.augmentation.applying import augmented
from lensmith.data.augmentation.record import Augment

REST = 0.3  # seconds before each turn: the threads of the one before it, which wait by spinning, have come to rest
SIDE, BATCH = 150, 32
ROTATE, SHIFT, ZOOM, SHEAR, BRIGHTNESS = 15, 0.1, 0.1, 10, 0.2
RANGES = Augment(flip="horizontal", rotate=ROTATE, shift=SHIFT, zoom=ZOOM, shear=SHEAR, brightness=BRIGHTNESS)

Images = Sequence[np.ndarray]
Chain = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def photos() -> list[np.ndarray]:
    """Cuts of 375x500 from scikit-learn's two photos of 427x640."""
    random = np.random.default_rng(0)
    large = load_sample_images().images
    corners = zip(random.integers(0, 52, BATCH), random.integers(0, 140, BATCH), strict=True)
    return [large[i % 2][y : y + 375, x : x + 500].copy() for i, (y, x) in enumerate(corners)]


def ours(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return augmented(image, {}, {}, size=(SIDE, SIDE), augment=RANGES, rng=rng)[0]


def small(image: np.ndarray) -> np.ndarray:
    if image.shape[:2] == (SIDE, SIDE):
        return image
    return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def warp(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return cv2.warpAffine(image, matrix[:2], (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def finish(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.5:
        image = cv2.flip(image, 1)
    return cv2.convertScaleAbs(image, alpha=rng.uniform(1 - BRIGHTNESS, 1 + BRIGHTNESS)).astype(np.float32)


def op_by_op(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    image, middle = small(image), (SIDE / 2, SIDE / 2)
    image = warp(image, cv2.getRotationMatrix2D(middle, rng.uniform(-ROTATE, ROTATE), 1))
    x, y = rng.uniform(-SHIFT, SHIFT, 2) * SIDE
    image = warp(image, np.array([[1, 0, x], [0, 1, y]]))
    image = warp(image, cv2.getRotationMatrix2D(middle, 0, rng.uniform(1 - ZOOM, 1 + ZOOM)))
    lean = math.tan(math.radians(rng.uniform(-SHEAR, SHEAR)))
    image = warp(image, np.array([[1, lean, -lean * SIDE / 2], [0, 1, 0]]))
    return finish(image, rng)


def one_matrix(rng: np.random.Generator) -> np.ndarray:
    """The four changes of an image of 150x150."""
    turned = np.eye(3)
    zoom = rng.uniform(1 - ZOOM, 1 + ZOOM)
    turned[:2] = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.uniform(-ROTATE, ROTATE), zoom)
    lean = math.tan(math.radians(rng.uniform(-SHEAR, SHEAR)))
    x, y = rng.uniform(-SHIFT, SHIFT, 2) * SIDE
    return np.array([[1, lean, x - lean * SIDE / 2], [0, 1, y], [0, 0, 1]]) @ turned


def one_warp(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return finish(warp(small(image), one_matrix(rng)), rng)


def unaveraged(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return finish(warp(image, one_matrix(rng) @ np.diag([SIDE / image.shape[1], SIDE / image.shape[0], 1])), rng)


def keras_layers() -> Callable[[np.ndarray], Any]:
    layers = [
        keras.layers.RandomFlip("horizontal"),
        keras.layers.RandomRotation(ROTATE / 360, fill_mode="nearest"),
        keras.layers.RandomTranslation(SHIFT, SHIFT, fill_mode="nearest"),
        keras.layers.RandomZoom(ZOOM, fill_mode="nearest"),
        keras.layers.RandomShear(x_factor=math.tan(math.radians(SHEAR)), fill_mode="nearest"),
        keras.layers.RandomBrightness(BRIGHTNESS),
    ]

    def run(batch: np.ndarray) -> Any:
        x: Any = keras.ops.convert_to_tensor(batch)
        for layer in layers:
            x = layer(x, training=True)
        return keras.ops.convert_to_numpy(x)

    return run


def seconds(run: Callable[[], object]) -> float:
    time.sleep(REST)
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(images: Images, rounds: int, threads: int) -> dict[str, float]:
    """Let all take turns; a ratio is the median over the rounds, so that a slow round does not count."""
    layers = keras_layers()
    resized = np.stack([small(image) for image in images]).astype(np.float32)
    out = np.empty_like(resized)

    def through(chain: Chain) -> None:
        for place, image in enumerate(images):
            out[place] = chain(image, np.random.default_rng([0, 1, place]))

    def one(place: int) -> None:
        out[place] = ours(images[place], np.random.default_rng([0, 1, place]))

    with ThreadPoolExecutor(threads) as pool:
        runs: dict[str, Callable[[], object]] = {
            "ours_threads": lambda: list(pool.map(one, range(len(images)))),
            "keras": lambda: layers(resized),
            "ours": lambda: through(ours),
            "op_by_op": lambda: through(op_by_op),
            "one_warp": lambda: through(one_warp),
            "unaveraged": lambda: through(unaveraged),
        }
        for run in runs.values():
            run()
        rows = [{name: seconds(run) for name, run in runs.items()} for _ in range(rounds)]
    peers = {"keras": "ours_threads", "op_by_op": "ours", "one_warp": "ours", "unaveraged": "ours"}
    ratios = {
        f"ratio_to_{peer}": statistics.median(row[peer] / row[mine] for row in rows) for peer, mine in peers.items()
    }
    times = {f"{name}_us": statistics.median(row[name] for row in rows) / len(images) * 1e6 for name in runs}
    return ratios | times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--rounds", type=int, default=15, help="how often each takes its turn")
    options = parser.parse_args()
    threads = min(os.cpu_count() or 1, 4)
    cases = {"photos_375x500": photos()}
    cases["ready_150x150"] = [small(image) for image in cases["photos_375x500"]]
    results: dict[str, Any] = {"backend": keras.config.backend(), "threads": threads}
    for name, images in cases.items():
        found = compare(images, options.rounds, threads)
        results[name] = {key: round(value, 2 if key.startswith("ratio") else 0) for key, value in found.items()}
    if options.json:
        print(json.dumps(results))
        return
    print(f"backend {results['backend']}, {threads} threads; a ratio above 1: ours is faster")
    for name in cases:
        row = results[name]
        print(
            f"{name:15} to Keras' layers {row['ratio_to_keras']:.1f}"
            f"   to OpenCV op by op {row['ratio_to_op_by_op']:.2f}"
            f"   in one warp {row['ratio_to_one_warp']:.2f}   unaveraged {row['ratio_to_unaveraged']:.2f}\n"
            f"{'':15} microseconds an image: ours {row['ours_us']:.0f}, in threads {row['ours_threads_us']:.0f};"
            f" Keras {row['keras_us']:.0f}; OpenCV {row['op_by_op_us']:.0f}, {row['one_warp_us']:.0f},"
            f" {row['unaveraged_us']:.0f}"
        )


if __name__ == "__main__":
    main()
