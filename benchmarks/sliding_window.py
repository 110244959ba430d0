"""The sliding window: the convolutional form, one pass over the image, against the book's loop over all windows.

A network of 28×28 pixels looks at each of the 12,769 windows of a canvas of 140×140 at stride 1. The loop gives it one
window after the other: with Keras' ``model.predict``, as the book does, and in the fastest way this backend has (both
timed on windows drawn by chance, and scaled up to all of them); and all windows, 256 at once, whose scores are compared
with those of the one pass. ``--json`` prints one document; ``--network conv-digits`` takes the book's larger network.
Where other programs run, ``OMP_NUM_THREADS=1`` keeps them apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

CANVAS, SIDE = 140, 28
GOAL = 100


def timed(work: Callable[[], Any], times: int) -> tuple[float, Any]:
    """The median time in seconds, after one call that warms up, and what the last call gave."""
    work()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def measured(network: str, seed: int, sample: int) -> dict[str, Any]:
    """Seconds for all windows, by each way, and how far the scores are apart."""
    from lensmith import backend
    from lensmith.compose import zoo
    from lensmith.data.formats.arrays.scenes import Placed, handwritten, scene
    from lensmith.detect.windows import convolutional, digit_classifier, scan, slide

    recipe = digit_classifier() if network == "small" else zoo.get(network)
    model = recipe.build(seed=seed)
    image = scene(handwritten(), [Placed(3, 56, 56)]).image
    # Grain, so that no window is like another.
    image = np.maximum(image, np.random.default_rng(seed).integers(0, 60, image.shape)).astype(np.uint8)
    form = convolutional(model)

    whole, scanned = timed(lambda: scan(form, image), 5)
    start = time.perf_counter()
    batched = slide(model, image, batch=256)
    batches = time.perf_counter() - start

    boxes = scanned.boxes.astype(int)
    chosen = np.random.default_rng(seed).choice(len(boxes), sample, replace=False)
    crops = [image[None, y1:y2, x1:x2] / np.float32(255) for x1, y1, x2, y2 in boxes[chosen]]
    fastest, one_by_one = looped(lambda crop: backend.predict(model, crop), crops)
    book, asked = looped(lambda crop: model.predict(crop, verbose=0), crops)
    gaps = [np.abs(scanned.scores - batched.scores).max()]
    gaps += [np.abs(scanned.scores[chosen] - each).max() for each in (one_by_one, asked)]
    scale = len(boxes) / sample
    seconds = {"the book's loop": book * scale, "the fastest loop": fastest * scale, "batches of 256": batches}
    return {
        "network": network,
        "windows": len(boxes),
        "timed": sample,
        "seconds": {"one pass": whole, **seconds},
        "ratio": {way: each / whole for way, each in seconds.items()},
        "largest_difference": float(max(gaps)),
    }


def looped(ask: Callable[[np.ndarray], Any], crops: list[np.ndarray]) -> tuple[float, np.ndarray]:
    """Seconds for asking about one window after the other, after one that warms up, and the scores."""
    ask(crops[0])
    start = time.perf_counter()
    scores = [np.asarray(ask(crop)) for crop in crops]
    return time.perf_counter() - start, np.concatenate(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="small", help="small, or one of the zoo for 28×28 gray pixels")
    parser.add_argument("--sample", type=int, default=300, help="windows on which the two loops are timed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measured(options.network, options.seed, options.sample)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['windows']:,} windows of {SIDE}×{SIDE} on {CANVAS}×{CANVAS}, network {found['network']}")
    for way, seconds in found["seconds"].items():
        print(f"  {way:20} {seconds:9.3f} s")
    for way, ratio in found["ratio"].items():
        print(f"one pass is {ratio:,.1f} times as fast as {way}")
    print(f"largest difference of a score: {found['largest_difference']:.1e} (goal: under 1e-4)")
    print(f"goal: {GOAL} times as fast as the book's loop")


if __name__ == "__main__":
    main()
