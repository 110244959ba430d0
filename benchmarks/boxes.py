"""How long it takes to tell which of many boxes to keep, beside OpenCV, and how far boxes overlap.

Non-maximum suppression of 10,000 random boxes, from all in one heap to hardly any that meet, over all of them and by
class, against ``cv2.dnn.NMSBoxes`` and ``cv2.dnn.NMSBoxesBatched`` of the installed OpenCV on one thread; then the
pairwise measures of overlap of 2,000 × 2,000 boxes. Both programs keep the same boxes, or it is told how many differ:
OpenCV compares in another precision.

    .venv/bin/python benchmarks/boxes.py [--boxes 10000] [--rounds 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np

from lensmith import boxes

GOALS = {"nms_ratio": 1.5, "pairwise_iou_seconds": 0.2}
IOUS = (0.3, 0.45, 0.7)
CLASSES = 80
PAIRS = 2000
KINDS = ("one heap", "30 objects", "crowded", "any size", "scattered")


def random_boxes(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Boxes of one density: float32 of shape ``(count, 4)``, ``xyxy`` in pixels."""
    if kind == "one heap":
        centre, size = 320 + rng.normal(0, 5, (count, 2)), rng.uniform(80, 120, (count, 2))
    elif kind == "30 objects":  # what a detector gives before suppression
        objects, sizes, which = rng.uniform(50, 600, (30, 2)), rng.uniform(20, 200, (30, 2)), rng.integers(0, 30, count)
        centre = objects[which] + rng.normal(0, 0.1, (count, 2)) * sizes[which]
        size = sizes[which] * np.exp(rng.normal(0, 0.15, (count, 2)))
    elif kind == "crowded":
        centre, size = rng.uniform(0, 1000, (count, 2)), rng.uniform(10, 200, (count, 2))
    elif kind == "any size":  # sides from 3 to 600 pixels
        centre, size = rng.uniform(0, 640, (count, 2)), np.exp(rng.uniform(1, 6.4, (count, 2)))
    else:
        centre, size = rng.uniform(0, 4000, (count, 2)), rng.uniform(10, 60, (count, 2))
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1).astype(np.float32)


def fastest(runs: Sequence[Callable[[], Any]], rounds: int) -> list[tuple[float, Any]]:
    """For each what the fastest of some rounds took, in processor seconds, and what it gave.

    The rounds alternate, and neighbours on a shared machine do not add to the time of a processor.
    """
    times: list[list[float]] = [[] for _ in runs]
    given: list[Any] = [None for _ in runs]
    for _ in range(rounds):
        for place, run in enumerate(runs):
            before = time.process_time()
            given[place] = run()
            times[place].append(time.process_time() - before)
    return [(min(one), value) for one, value in zip(times, given, strict=True)]


def suppression(kind: str, iou: float, count: int, rounds: int, *, classes: bool) -> dict[str, Any]:
    """Ours and OpenCV's milliseconds, and by what theirs are more: a ratio above 1 is in our favour."""
    rng = np.random.default_rng(0)
    corners = random_boxes(kind, count, rng)
    scores, kinds = rng.uniform(0.01, 1, count).astype(np.float32), rng.integers(0, CLASSES, count)
    sized = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    dnn: Any = cv2.dnn  # which takes arrays, though its types say lists
    runs = [lambda: boxes.nms(corners, scores, iou=iou), lambda: dnn.NMSBoxes(sized, scores, 0.0, iou)]
    if classes:
        runs = [
            lambda: boxes.nms(corners, scores, iou=iou, classes=kinds),
            lambda: dnn.NMSBoxesBatched(sized, scores, kinds, 0.0, iou),
        ]
    (ours, kept), (theirs, peer) = fastest(runs, rounds)
    return {
        "boxes": kind,
        "by_class": classes,
        "iou": iou,
        "kept": len(kept),
        "different": len(set(kept.tolist()) ^ set(np.ravel(peer).tolist())),
        "ms": round(1000 * ours, 2),
        "peer_ms": round(1000 * theirs, 2),
        "ratio": round(theirs / ours, 2),
    }


def pairwise(rounds: int) -> dict[str, float]:
    """Processor seconds by measure for 2,000 × 2,000 boxes, float32."""
    rng = np.random.default_rng(1)
    first, second = random_boxes("crowded", PAIRS, rng), random_boxes("crowded", PAIRS, rng)
    measures = {"iou": boxes.iou, "giou": boxes.giou, "diou": boxes.diou, "ciou": boxes.ciou}
    found = fastest([partial(measure, first, second) for measure in measures.values()], rounds)
    return {name: round(seconds, 4) for name, (seconds, _) in zip(measures, found, strict=True)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--boxes", type=int, default=10_000, help="of which to suppress (default 10,000)")
    parser.add_argument("--rounds", type=int, default=5, help="of which the fastest counts (default 5)")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    if options.boxes < 1 or options.rounds < 1:
        parser.error("--boxes, --rounds: expected at least 1")
    cv2.setNumThreads(1)
    rows = [
        suppression(kind, iou, options.boxes, options.rounds, classes=classes)
        for classes in (False, True)
        for kind in KINDS
        for iou in IOUS
    ]
    seconds = pairwise(options.rounds)
    worst = min(row["ratio"] for row in rows)
    met = worst >= 1 / GOALS["nms_ratio"] and seconds["iou"] <= GOALS["pairwise_iou_seconds"]
    if options.json:
        found = {"nms": rows, "worst_ratio": worst, "pairwise_seconds": seconds, "cores": os.cpu_count()}
        print(json.dumps(found | {"goal": GOALS, "met": met}))
        return
    print(f"suppression of {options.boxes:,} boxes; OpenCV {cv2.__version__}; ratio above 1: faster than OpenCV")
    for row in rows:
        how = "by class" if row["by_class"] else "over all"
        print(
            f"  {row['boxes']:11} {how}  IoU {row['iou']:.2f}   {row['kept']:6,} kept, {row['different']} different"
            f"   {row['ms']:8.2f} ms, OpenCV {row['peer_ms']:8.2f} ms   ratio {row['ratio']:6.2f}"
        )
    print(f"worst ratio      {worst:6.2f}     goal: at least {1 / GOALS['nms_ratio']:.2f}")
    for name, one in seconds.items():
        print(
            f"pairwise {name:7} {1000 * one:6.1f} ms  {PAIRS:,} x {PAIRS:,}" + ("; goal: 200" if name == "iou" else "")
        )
    print("goals met" if met else "goals NOT met")


if __name__ == "__main__":
    main()
