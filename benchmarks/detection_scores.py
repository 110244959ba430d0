"""Our scores of detections beside those of faster-coco-eval and pycocotools: the largest difference, and the time.

The same objects and detections go to each: made ones (objects of many sizes, in crowds or alone, found askew, twice,
as another class, or not at all, and things that are not there) and, where a data set with boxes is given, its objects
with such detections. Each score that COCO's reference program prints is compared, and each class.

    .venv/bin/python benchmarks/detection_scores.py [--images 1000] [--classes 80] [--data FOLDER] [--json]

A peer that is not installed is left out: pip install faster-coco-eval pycocotools.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lensmith.detect.score import score
from lensmith.records import Boxes

GOALS = {"difference": 1e-6, "seconds_5000_images": 10.0}
ROUNDS = 3  # of each, of which the fastest counts
PEERS = {"faster-coco-eval": "faster_coco_eval", "pycocotools": "pycocotools"}
Case = tuple[list[Boxes], list[np.ndarray], list[np.ndarray]]  # objects, their areas, detections


def objects(images: int, classes: int, rng: np.random.Generator) -> list[Boxes]:
    """Objects of made pictures of 640 × 480: none in some, a score of them in others; one in twenty is a crowd."""
    made = []
    for _ in range(images):
        count = rng.choice([0, 1, 2, 5, 10, 25], p=[0.05, 0.2, 0.2, 0.25, 0.2, 0.1])
        sides = np.exp(rng.uniform(np.log(8), np.log(300), (count, 2)))
        corner = rng.uniform(0, 1, (count, 2)) * np.maximum([640, 480] - sides, 1)
        labels = rng.integers(classes, size=3)[rng.integers(3, size=count)]  # few classes in one picture
        made.append(Boxes(np.concatenate([corner, corner + sides], axis=1), labels, crowd=rng.random(count) < 0.05))
    return made


def found_in(truths: Sequence[Boxes], classes: int, most: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Detections as a middling network gives them, ``most`` of each image; scores with two digits, so that many tie."""
    return [_found_in(one, classes, most, rng) for one in truths]


def _found_in(one: Boxes, classes: int, most: int, rng: np.random.Generator) -> np.ndarray:
    chosen = rng.integers(len(one), size=most // 2) if len(one) else np.zeros(0, int)
    sides = one.xyxy[chosen, 2:] - one.xyxy[chosen, :2]
    askew = one.xyxy[chosen] + np.tile(sides, 2) * rng.normal(0, 0.08, (len(chosen), 4))
    labels = np.where(rng.random(len(chosen)) < 0.85, one.classes[chosen], rng.integers(classes, size=len(chosen)))
    corner = rng.uniform(0, [500, 400], (most - len(chosen), 2))
    noise = np.concatenate([corner, corner + rng.uniform(5, 200, corner.shape)], axis=1)
    scores = np.concatenate([rng.beta(4, 2, len(chosen)), rng.beta(1, 4, len(noise))]).round(2)
    every = np.concatenate([labels, rng.integers(classes, size=len(noise))])
    return np.column_stack([np.concatenate([askew, noise]), scores, every]).astype(np.float32)


def as_coco(case: Case, classes: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The case as the dictionaries that the peers take."""
    truths, areas, found = case
    annotations, results = [], []
    for image, (one, sizes, rows) in enumerate(zip(truths, areas, found, strict=True), 1):
        for box, label, crowd, size in zip(_xywh(one.xyxy), one.classes.tolist(), one.crowd, sizes, strict=True):
            same = {"image_id": image, "category_id": label + 1, "bbox": box}
            annotations.append({**same, "id": len(annotations) + 1, "iscrowd": int(crowd), "area": float(size)})
        for box, (value, label) in zip(_xywh(rows[:, :4]), rows[:, 4:].tolist(), strict=True):
            results.append({"image_id": image, "category_id": int(label) + 1, "bbox": box, "score": value})
    pictures = [{"id": image, "width": 640, "height": 480} for image in range(1, len(truths) + 1)]
    categories = [{"id": label + 1, "name": str(label)} for label in range(classes)]
    return {"images": pictures, "annotations": annotations, "categories": categories, "info": {}}, results


def _xywh(corners: np.ndarray) -> list[list[float]]:
    exact = corners.astype(np.float64)
    return np.concatenate([exact[:, :2], exact[:, 2:] - exact[:, :2]], axis=1).tolist()


def ours(case: Case, classes: int) -> dict[str, Any]:
    """Scores and seconds."""
    truths, areas, found = case
    names = [str(label) for label in range(classes)]
    seconds, scores = _fastest(lambda: score(truths, found, names, areas=areas))
    numbers = [scores.map, scores.map50, scores.map75, *scores.sizes.values(), *scores.recalls.values()]
    rows = [row.map for row in scores.classes]
    return {
        "seconds": seconds,
        "scores": _numbers(numbers + list(scores.size_recalls.values())),
        "rows": _numbers(rows),
    }


def theirs(peer: str, case: Case, classes: int) -> dict[str, Any]:
    """A peer's scores and seconds, its reading of the dictionaries not counted."""
    truth, results = as_coco(case, classes)
    if peer == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval as Evaluation
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as Evaluation
    with contextlib.redirect_stdout(io.StringIO()):
        there = COCO()
        there.dataset = truth
        there.createIndex()
        here = there.loadRes(results)

        def run() -> Any:
            evaluation = Evaluation(there, here, "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            return evaluation

        seconds, evaluation = _fastest(run)
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # thresholds, recalls, classes
    rows = [float(one.mean()) if (one > -1).all() else -1.0 for one in np.moveaxis(precision, 2, 0)]
    return {"seconds": seconds, "scores": np.asarray(evaluation.stats[:12], np.float64), "rows": np.array(rows)}


def _fastest(run: Callable[[], Any]) -> tuple[float, Any]:
    times = []
    for _ in range(ROUNDS):
        before = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - before)
    return min(times), result


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    """With COCO's -1 for what could not be measured."""
    return np.array([-1.0 if value is None else value for value in values])


def compared(name: str, case: Case, classes: int, peers: Sequence[str]) -> dict[str, Any]:
    """One line of the result: ours beside each peer."""
    mine = ours(case, classes)
    line: dict[str, Any] = {
        "case": name,
        "images": len(case[0]),
        "detections": sum(map(len, case[2])),
        "map": round(float(mine["scores"][0]), 6),
        "seconds": round(mine["seconds"], 3),
    }
    for peer in peers:
        other = theirs(peer, case, classes)
        gaps = [np.abs(mine[part] - other[part]).max() for part in ("scores", "rows")]
        line[peer] = {"difference": float(max(gaps)), "times": round(other["seconds"] / mine["seconds"], 2)}
    return line


def real(folder: str, rng: np.random.Generator) -> tuple[str, Case, int]:
    """The objects of a data set, a tenth of them marked as crowds, with made detections."""
    from lensmith import data

    records = data.read(folder)
    task, labels = next((task, labels) for task, labels in records.labels.items() if labels.kind == "boxes")
    truths = []
    for record in records:
        one = record.targets.get(task, Boxes([], []))
        truths.append(Boxes(one.xyxy, one.classes, crowd=rng.random(len(one)) < 0.1))
    return folder, _case(truths, len(labels.names), 60, rng), len(labels.names)


def _case(truths: list[Boxes], classes: int, most: int, rng: np.random.Generator) -> Case:
    # An outline covers a part of its box.
    sides = [(one.xyxy[:, 2:] - one.xyxy[:, :2]).astype(np.float64) for one in truths]
    areas = [one.prod(axis=1) * rng.uniform(0.4, 1, len(one)) for one in sides]
    return truths, areas, found_in(truths, classes, most, rng)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=1000, help="made images (default 1000)")
    parser.add_argument("--classes", type=int, default=80, help="classes of the made images (default 80)")
    parser.add_argument("--data", action="append", default=[], help="a data set with boxes; may stand several times")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    peers = [peer for peer, module in PEERS.items() if importlib.util.find_spec(module)]
    cases = [("made", _case(objects(options.images, options.classes, rng), options.classes, 100, rng), options.classes)]
    cases.append(("made, 20 classes", _case(objects(300, 20, rng), 20, 100, rng), 20))
    cases += [real(folder, rng) for folder in options.data]
    lines = [compared(*case, peers) for case in cases]
    gaps = [line[peer]["difference"] for line in lines for peer in peers]
    result = {
        "cases": lines,
        "largest_difference": max(gaps, default=None),
        "seconds_5000_images": round(lines[0]["seconds"] * 5000 / options.images, 2),
        "peers": peers,
        "goal": GOALS,
    }
    if options.json:
        print(json.dumps(result))
        return
    for line in lines:
        print(f"{line['case']}: {line['images']} images, {line['detections']} detections, mAP {line['map']}")
        print(f"  ours {line['seconds']} s")
        for peer in peers:
            print(f"  {peer}: largest difference {line[peer]['difference']:.2g}, {line[peer]['times']} times as long")
    print(f"largest difference of all: {result['largest_difference']}; 5,000 images: {result['seconds_5000_images']} s")


if __name__ == "__main__":
    main()
