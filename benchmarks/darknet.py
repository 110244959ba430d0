"""Darknet's networks here and in OpenCV 4: the same numbers, the same objects, the same score?

The last OpenCV that reads Darknet's files is 4.x; it needs an interpreter of its own:

    python -m venv PEER && PEER/bin/pip install 'opencv-python-headless==4.14.*'
    .venv/bin/python benchmarks/darknet.py --peer PEER/bin/python [--data ../shared/data] [--json]

Both get the same blob. Published weights are compared on the photos of Darknet and on the validation images of
COCO-128: the rows of the output (share of the image, 0..1), the objects after suppression (score 0.25, IoU 0.45), and
the mean average precision. Every published network is then compared with random weights, at a small size of image
where the file allows it (``--random``); those with layers that OpenCV does not read are named.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

GOAL = 1e-4  # of a row's numbers; of those above 1, boxes larger than the image, as a share of them
POINTS = 0.5  # of mean average precision, of 100
SCORE, IOU = 0.25, 0.45
LOW = 0.001  # candidates from here on count for the mean average precision
ENDS = ("yolo", "region")


def peer(folder: Path) -> None:
    """What the other interpreter does: every blob of a folder through the network there."""
    cv2 = importlib.import_module("cv2")  # of the peer, which still has its reader
    text = (folder / "net.cfg").read_bytes()
    network = cv2.dnn.readNetFromDarknet(np.frombuffer(text, np.uint8), np.fromfile(folder / "net.weights", np.uint8))
    names = network.getUnconnectedOutLayersNames()
    found = []
    for blob in np.load(folder / "blobs.npy"):
        network.setInput(np.ascontiguousarray(blob.transpose(2, 0, 1)[None]))
        outputs = network.forward(names)
        found.append(np.concatenate([np.asarray(one).reshape(-1, np.asarray(one).shape[-1]) for one in outputs]))
    np.save(folder / "rows.npy", np.stack(found))
    if (folder / "boxes").exists():
        kept = [suppressed(cv2, rows) for rows in found]
        np.savez(folder / "kept.npz", *kept)


def suppressed(cv2: Any, rows: np.ndarray, score: float = SCORE) -> np.ndarray:
    """The objects as OpenCV's own suppression leaves them: class, score, cx, cy, w, h."""
    kinds, scores = rows[:, 5:].argmax(axis=1), rows[:, 5:].max(axis=1)
    corner = rows[:, :4] - np.concatenate([rows[:, 2:4] / 2, np.zeros_like(rows[:, :2])], axis=1)
    kept = []
    for kind in np.unique(kinds):
        places = np.flatnonzero((kinds == kind) & (scores > score))
        if len(places):
            # NMSBoxes rounds nothing, but means pixels: sides below 1 are too small for it.
            chosen = cv2.dnn.NMSBoxes((corner[places] * 1e4).tolist(), scores[places].tolist(), score, IOU)
            kept.extend(places[np.asarray(chosen, int).reshape(-1)])
    kept.sort(key=lambda place: -scores[place])
    return np.array([[kinds[place], scores[place], *rows[place, :4]] for place in kept]).reshape(-1, 6)


def asked(python: str, cfg: str, weights: bytes, blobs: np.ndarray, *, boxes: bool) -> tuple[Any, list[Any]] | str:
    """The peer's rows and objects for these blobs ``(n, height, width, 3)``; or why it has none."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # It leaves scores up to `thresh` out, and suppresses within a region; the network itself is compared here.
        (folder / "net.cfg").write_text(re.sub(r"\[(yolo|region)\]", r"[\1]\nthresh=0\nnms_threshold=0", cfg))
        (folder / "net.weights").write_bytes(weights)
        np.save(folder / "blobs.npy", blobs)
        if boxes:
            (folder / "boxes").touch()
        done = subprocess.run([python, __file__, "--as-peer", name], capture_output=True, text=True, check=False)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            return next((line for line in lines if "error:" in line), lines[-1] if lines else "no word")
        rows = np.load(folder / "rows.npy")
        if not boxes:
            return rows, []
        with np.load(folder / "kept.npz") as kept:
            return rows, [kept[key] for key in kept.files]


def cornered(rows: np.ndarray) -> np.ndarray:
    """Rows with corners in place of centre and size, as ours have them."""
    half = rows[..., 2:4] / 2
    return np.concatenate([rows[..., :2] - half, rows[..., :2] + half, rows[..., 4:]], axis=-1)


def apart(ours: np.ndarray, theirs: np.ndarray, *, gaps: bool = False) -> float:
    """The largest difference of two numbers, as a share of those above 1; with ``gaps``, not of scores that are 0."""
    difference = np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1)
    if gaps:  # OpenCV suppresses inside a [region], whatever the file says
        difference[..., 5:][theirs[..., 5:] == 0] = 0
    return float(difference.max())


def published(data: Path, python: str) -> Iterator[dict[str, Any]]:
    """The five files of YOLO-Fastest on real photos."""
    from lensmith.detect.darknet import open_darknet

    photos = sorted((data / "darknet" / "data").glob("*.jpg"))
    images = sorted((data / "coco128_yolo" / "images" / "val2017").glob("*.jpg"))
    for cfg in sorted((data / "yolo_fastest" / "ModelZoo").glob("*/*.cfg")):
        weights = cfg.with_suffix(".weights")
        network = open_darknet(cfg, weights, next(cfg.parent.glob("*.names")))
        blobs = np.stack([network.preprocessing(path) for path in [*photos, *images]])
        ours = np.concatenate([_predicted(network.model, blobs[i : i + 8]) for i in range(0, len(blobs), 8)])
        theirs = asked(python, cfg.read_text(), weights.read_bytes(), blobs, boxes=True)
        if isinstance(theirs, str):
            raise SystemExit(f"{cfg.name}: {theirs}")
        rows, kept = theirs
        alike = [_same(_found(own), other) for own, other in zip(ours, kept, strict=True)]
        result: dict[str, Any] = {
            "network": cfg.stem,
            "images": len(blobs),
            "difference": apart(ours, cornered(rows)),
            "objects": sum(len(other) for other in kept),
            "other_images": alike.count(False),
        }
        if ours.shape[-1] == 85:
            start = len(photos)
            own, other = (_score(data, images, some[start:], network) for some in (ours, cornered(rows)))
            result |= {"map": own[0], "map50": own[1], "peer_map": other[0], "peer_map50": other[1]}
        yield result


def _predicted(model: Any, blobs: np.ndarray) -> np.ndarray:
    from lensmith import backend

    return np.asarray(backend.predict(model, blobs))


def _found(rows: np.ndarray) -> np.ndarray:
    from lensmith.boxes import Thresholds
    from lensmith.boxes.suppression import detections

    return detections(rows, Thresholds(SCORE, IOU, 1000))


def _same(own: np.ndarray, other: np.ndarray) -> bool:
    """Whether two lists hold the same objects; equal scores may stand in either order."""
    if len(own) != len(other):
        return False
    theirs = np.concatenate([cornered(other[:, 2:6]), other[:, 1:2], other[:, :1]], axis=1)
    return all(np.abs(theirs - row).max(axis=1).min() < 10 * GOAL for row in own)


def _score(data: Path, images: Sequence[Path], rows: np.ndarray, network: Any) -> tuple[float, float]:
    """Mean average precision in percent, over all overlaps and at 0.5."""
    from lensmith.boxes import Thresholds
    from lensmith.boxes.suppression import detections
    from lensmith.data.formats.yolo.lines import parse
    from lensmith.data.images import decode
    from lensmith.detect.score import score

    low = Thresholds(LOW, IOU, 100, best=False)
    truths, found = [], []
    for path, some in zip(images, rows, strict=True):
        height, width = decode(path, 3, place=str(path)).shape[:2]
        label = data / "coco128_yolo" / "object_detection" / "labels" / "val2017" / f"{path.stem}.txt"
        truths.append(parse(label.read_text(), None, (height, width), str(label)))
        found.append(detections(some, low) * np.array([width, height, width, height, 1, 1], np.float32))
    scores = score(truths, found, network.labels["objects"].names)
    return 100 * float(scores.map or 0), 100 * float(scores.map50 or 0)


def random_networks(data: Path, python: str, folder: Path, only: str) -> Iterator[dict[str, Any]]:
    """Every published network with random weights."""
    from lensmith import check
    from lensmith.detect.darknet import load_weights, recipe_of, save_weights
    from lensmith.detect.darknet.cfg import parse

    for cfg in sorted((data / "darknet" / "cfg").glob(f"{only}.cfg")):
        text = _small(cfg.read_text(), cfg.stem)
        try:
            made = recipe_of(parse(text, cfg.name))
        except check.LensmithError as error:
            yield {"network": cfg.stem, "refused": str(error)}
            continue
        model = made.build(seed=0)
        blobs = np.random.default_rng(1).uniform(0, 1, (2, *made.input)).astype(np.float32)
        _shaken(model, blobs)
        file = folder / "random.weights"
        save_weights(file, model, made)
        theirs = asked(python, text, file.read_bytes(), blobs, boxes=False)
        if isinstance(theirs, str):
            yield {"network": cfg.stem, "size": made.input[:2], "not_read_by_opencv": theirs}
            continue
        other = made.build(seed=1)
        load_weights(other, made, file)
        ours, rows = _predicted(other, blobs), theirs[0]
        rows = cornered(rows.reshape(ours.shape)) if ours.ndim == 3 else rows.reshape(ours.shape)
        yield {
            "network": cfg.stem,
            "size": made.input[:2],
            "difference": apart(ours, rows, gaps="[region]" in text),
            "spread": float(ours.std(axis=-1).max()),
        }


def _small(text: str, name: str) -> str:
    """The same network for smaller images, where no layer depends on the size; OpenCV knows no temperature."""
    text = re.sub(r"(?m)^temperature.*$", "", text)
    if any(f"[{kind}]" in text for kind in ("connected", "crop", "local")) or name in ("go", "go.test", "yolov3"):
        return text
    return re.sub(r"(?m)^(height|width)\s*=.*$", r"\1=96", text)


def _shaken(model: Any, blobs: np.ndarray) -> None:
    """Normalisations with statistics of their own, so that an exchange of two arrays is seen, and lively outputs."""
    from lensmith.backend import keras

    draw = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            count = layer.moving_mean.shape[0]
            layer.moving_mean.assign(draw.normal(0, 0.1, count))
            layer.moving_variance.assign(draw.uniform(0.7, 1.5, count))
            layer.gamma.assign(draw.uniform(0.6, 1.2, count))
            layer.beta.assign(draw.normal(0, 0.1, count))
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(draw.normal(0, 0.1, layer.bias.shape))
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    plain = [layer for layer in model.layers if isinstance(layer, kinds) and layer.use_bias]
    for layer in plain[-3:]:  # what the boxes or classes are read from: of a random network they are huge, or all alike
        given = _predicted(keras.Model(model.input, layer.output), blobs)
        layer.kernel.assign(np.asarray(layer.kernel) / max(float(given.std()), 1e-6))
    outputs = _predicted(model, blobs)
    if outputs.ndim == 2:
        spread = max(float(np.log(np.maximum(outputs, 1e-30)).std(axis=-1).mean()), 1e-6)
        plain[-1].kernel.assign(np.asarray(plain[-1].kernel) * min(2 / spread, 1e3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="an interpreter that has opencv-python-headless 4")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--random", action="store_true", help="random weights through every published network")
    parser.add_argument("--only", default="*", help="names of these networks, with * for anything")
    parser.add_argument("--json", action="store_true", help="one line of JSON a network")
    parser.add_argument("--as-peer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_peer:
        peer(options.as_peer)
        return
    if not options.peer:
        print("left out: it compares with OpenCV's own reader; give --peer PYTHON that has opencv-python-headless 4")
        return
    with tempfile.TemporaryDirectory() as folder:
        runs = (
            random_networks(options.data, options.peer, Path(folder), options.only)
            if options.random
            else published(options.data, options.peer)
        )
        good = True
        for result in runs:
            good &= result.get("difference", 0.0) <= GOAL and not result.get("other_images", 0)
            good &= abs(result.get("map", 0.0) - result.get("peer_map", 0.0)) <= POINTS
            print(json.dumps(result) if options.json else _line(result), flush=True)
    if not good:
        sys.exit(1)


def _line(result: dict[str, Any]) -> str:
    facts = (f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in result.items())
    return "  ".join(facts)


if __name__ == "__main__":
    main()
