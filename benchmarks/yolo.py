"""A photo to the objects on it: our shipped detectors against OpenCV's Darknet inference, on the same cores.

Both get the same decoded photo, the same ``.cfg`` and ``.weights``, and do all that follows: resize and scale, run the
network, decode, threshold, suppress per class. Ours is one ONNX file, opened by ``lensmith.ship.open_artifact``;
OpenCV's is ``blobFromImage``, ``readNetFromDarknet`` and ``NMSBoxesBatched``, as its samples write it, in a process of
its own, since OpenCV 5 has no Darknet reader any more. They take turns. A ratio is the median over the rounds; above 1,
ours is faster. ``forward`` is the ratio to OpenCV's network alone, without its resize and without its suppression.
Besides the clock, what each takes of the processors is counted, its waiting threads included: on a machine that others
use too, that says more.

YOLO v3 (416×416) has random weights, so small that nothing overflows, and a score threshold that 50 of its candidates
are above; the YOLO-Fastest files are as they were published. Exporting proves first that each artifact is equal to the
model it came from, on this photo.

    .venv/bin/python benchmarks/yolo.py --peer PYTHON [--data FOLDER] [--rounds 9] [--json]

PYTHON is an interpreter with ``opencv-python-headless==4.14.*``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data"
PHOTO = Path("darknet/data/dog.jpg")
V3 = Path("darknet/cfg/yolov3.cfg")
SIDE = 416  # of YOLO v3
COUNTED = 50  # candidates of random weights that are above the threshold
GOAL = 1.0

# It answers each line of its input, the number of calls, with the median seconds of a call and of the network in it,
# how many objects it found, and the seconds of a call on the processors.
PEER = """
import statistics, sys, time
import cv2, numpy as np
cfg, weights, photo, side, score, iou, cores = sys.argv[1:]
side, score, iou = int(side), float(score), float(iou)
cv2.setNumThreads(int(cores))
pixels = cv2.imread(photo)
net = cv2.dnn.readNetFromDarknet(cfg, weights)
net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
names = net.getUnconnectedOutLayersNames()
def call():
    start = time.perf_counter()
    net.setInput(cv2.dnn.blobFromImage(pixels, 1 / 255, (side, side), swapRB=True, crop=False))
    before = time.perf_counter()
    outputs = net.forward(names)
    after = time.perf_counter()
    rows = np.concatenate(outputs)
    classes = rows[:, 5:].argmax(axis=1)
    scores = rows[np.arange(len(rows)), 5 + classes]
    counted = scores > score
    rows, classes, scores = rows[counted], classes[counted], scores[counted]
    size = np.array([pixels.shape[1], pixels.shape[0]])
    corners = (rows[:, :2] - rows[:, 2:4] / 2) * size
    boxes = np.concatenate([corners, rows[:, 2:4] * size], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores.tolist(), classes.tolist(), score, iou) if len(boxes) else ()
    return time.perf_counter() - start, after - before, len(kept)
call()
print("ready", cv2.__version__, flush=True)
for line in sys.stdin:
    used = time.process_time()
    calls = [call() for _ in range(int(line))]
    used = (time.process_time() - used) / len(calls)
    print(*(statistics.median(one[place] for one in calls) for place in range(3)), used, flush=True)
"""


@dataclass(frozen=True)
class Case:
    """A network: its files, and from what score on an object counts."""

    name: str
    cfg: Path
    weights: Path
    artifact: Any
    thresholds: Any
    calls: int  # in one turn


class OpenCV:
    """OpenCV's Darknet inference in a process of its own."""

    def __init__(self, python: str, case: Case, photo: Path, cores: int) -> None:
        limits = case.thresholds
        side = case.artifact.preprocessing.image[0]
        values = (case.cfg, case.weights, photo, side, limits.score, limits.iou, cores)
        command = [python, "-c", PEER, *map(str, values)]
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        ready, _, self.version = self._line().partition(" ")
        if ready != "ready":
            raise SystemExit(f"{python}: OpenCV's Darknet inference did not start")

    def turn(self, calls: int) -> tuple[float, float, float, float]:
        """Seconds of a call and of the network in it, the number of objects, and seconds on the processors."""
        if self.process.stdin is None:
            raise SystemExit("OpenCV's process has no input")
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        whole, forward, found, used = map(float, self._line().split())
        return whole, forward, found, used

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)

    def _line(self) -> str:
        return self.process.stdout.readline().strip() if self.process.stdout else ""


def shipped(network: Any, folder: Path, photo: np.ndarray) -> Any:
    """The artifact of a network, proven on the photo."""
    from lensmith import ship

    saved = ship.Saved(network.model, network.recipe, network.labels, network.preprocessing)
    path = folder / "model.onnx"
    ship.export(saved, path, [photo])
    return ship.open_artifact(path)


def published(cfg: Path, folder: Path, photo: np.ndarray) -> Case:
    """A network as its files are."""
    from lensmith.boxes import Thresholds
    from lensmith.detect.darknet import open_darknet

    weights = cfg.with_suffix(".weights")
    artifact = shipped(open_darknet(cfg, weights), folder, photo)
    return Case(cfg.stem, cfg, weights, artifact, Thresholds(), calls=20)


def drawn(cfg: Path, folder: Path, photo: np.ndarray) -> Case:
    """A network of another size with random weights."""
    from lensmith.boxes import Thresholds
    from lensmith.detect.darknet import open_darknet, read_cfg, recipe_of, save_weights

    changed, weights = folder / cfg.name, folder / "random.weights"
    lines = cfg.read_text(encoding="utf-8").splitlines()
    sizes = ("width=", "height=")
    changed.write_text("\n".join(f"{line.split('=')[0]}={SIDE}" if line.startswith(sizes) else line for line in lines))
    recipe = recipe_of(read_cfg(changed))
    model = recipe.build(seed=0)
    for variable in model.trainable_weights:
        if variable.path.endswith("kernel"):
            variable.assign(variable * 0.6)  # residual blocks add up: nothing may overflow
    save_weights(weights, model, recipe)
    artifact = shipped(open_darknet(changed, weights), folder, photo)
    (candidates,) = artifact.candidates([photo]).values()
    score = float(np.sort(candidates[0, :, 5:].max(axis=1))[-COUNTED - 1])
    return Case(
        f"{cfg.stem} {SIDE}×{SIDE}, random weights", changed, weights, artifact, Thresholds(score=score), calls=1
    )


def seconds(case: Case, photo: np.ndarray) -> tuple[float, float, float]:
    """Median seconds of our calls in one turn, the number of objects, and seconds of a call on the processors."""
    taken, found, used = [], 0, time.process_time()
    for _ in range(case.calls):
        start = time.perf_counter()
        (rows,) = case.artifact.predict([photo], thresholds=case.thresholds).values()
        taken.append(time.perf_counter() - start)
        found = int((rows[0, :, 5] >= 0).sum())
    return statistics.median(taken), found, (time.process_time() - used) / case.calls


def measure(case: Case, python: str, file: Path, photo: np.ndarray, rounds: int) -> dict[str, Any]:
    """The medians of a network, after a round that warms both up."""
    cores = len(os.sched_getaffinity(0))
    peer = OpenCV(python, case, file, cores)
    try:
        rows = [(*seconds(case, photo), *peer.turn(case.calls)) for _ in range(rounds + 1)][1:]
    finally:
        peer.close()
    ours, found, used, whole, forward, found_there, used_there = (list(one) for one in zip(*rows, strict=True))
    return {
        "ratio": round(statistics.median(b / a for a, b in zip(ours, whole, strict=True)), 2),
        "forward": round(statistics.median(b / a for a, b in zip(ours, forward, strict=True)), 2),
        "cpu_ratio": round(statistics.median(b / a for a, b in zip(used, used_there, strict=True)), 2),
        "ours_ms": round(1000 * statistics.median(ours), 2),
        "opencv_ms": round(1000 * statistics.median(whole), 2),
        "opencv_forward_ms": round(1000 * statistics.median(forward), 2),
        "found": [found[-1], int(found_there[-1])],
        "proof": case.artifact.proof["max_difference"],
        "opencv": peer.version,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="a Python that has OpenCV 4.14")
    parser.add_argument("--data", type=Path, default=DATA, help="holds the folders darknet and yolo_fastest")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--rounds", type=int, default=9, help="how often each takes its turn")
    parser.add_argument("--only", default="", help="networks whose name contains this")
    options = parser.parse_args()
    if not options.peer:
        print("left out: it compares with OpenCV's Darknet inference; give --peer PYTHON that has OpenCV 4.14")
        return
    file = options.data / PHOTO
    photo = np.asarray(Image.open(file).convert("RGB"))
    cfgs = [options.data / V3, *sorted((options.data / "yolo_fastest").rglob("*.cfg"))]
    results = {}
    for cfg in cfgs:
        if options.only not in cfg.stem:
            continue
        with tempfile.TemporaryDirectory() as name:
            made = published if cfg.with_suffix(".weights").exists() else drawn
            case = made(cfg, Path(name), photo)
            results[case.name] = one = measure(case, options.peer, file, photo, options.rounds)
        if not options.json:
            print(
                f"  {case.name:36} {one['ratio']:.2f} (goal {GOAL})   to the network alone {one['forward']:.2f}"
                f"   by the processors {one['cpu_ratio']:.2f}   ours {one['ours_ms']:.1f} ms, OpenCV {one['opencv']}"
                f" {one['opencv_ms']:.1f} ms; found {one['found'][0]} and {one['found'][1]}",
                flush=True,
            )
    if options.json:
        print(json.dumps({"photo": list(photo.shape), "cores": len(os.sched_getaffinity(0)), "networks": results}))


if __name__ == "__main__":
    main()
