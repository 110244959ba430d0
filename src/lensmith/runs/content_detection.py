"""From the results of a detector, and its head, to what the report of a run says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from lensmith.compose.detection import Detector, YoloMaps, YoloV1
from lensmith.runs.folder import RunFolder
from lensmith.runs.report import AnchorMap, ClassScore, Detection, Pictured


def detection(folder: RunFolder, found: Mapping[str, Any]) -> Detection:
    """What ``results.json`` holds of a detector (see :func:`lensmith.runs.found.told`), with its pictures.

    Args:
        folder: of the run, in which the pictures lie.
        found: of one task.
    """
    scores = found["scores"]
    curves = np.array([[np.nan if one is None else one for one in row] for row in found["curves"]], np.float64)
    return Detection(
        scores={name: value for name, value in scores.items() if name.startswith(("map", "recall"))},
        classes=tuple(_row(row) for row in scores["classes"]),
        curves=curves.reshape(len(found["curves"]), -1),
        counts=found["counts"],
        threshold=found["threshold"],
        images=scores["images"],
        pairs=tuple((str(truth), str(given), int(times)) for truth, given, times in found.get("pairs", ())),
        pictures={
            kind: tuple(_picture(folder, entry) for entry in entries) for kind, entries in found["pictures"].items()
        },
    )


def _row(row: Mapping[str, Any]) -> ClassScore:
    return ClassScore(**{name: row[name] for name in ClassScore.__slots__})


def _picture(folder: RunFolder, entry: Mapping[str, Any]) -> Pictured:
    path = entry["picture"] and folder.path / entry["picture"]
    image = np.asarray(Image.open(path).convert("RGB")) if path and path.is_file() else None
    return Pictured(entry["source"], tuple(entry.get("says", ())), image)


def anchors(head: Detector) -> tuple[AnchorMap, ...]:
    """The anchors of a detector, map by map; YOLO v1 has none."""
    if isinstance(head, YoloV1):
        return ()
    if isinstance(head, YoloMaps):
        return tuple(AnchorMap(one.tap, one.anchors) for one in head.outputs)
    share = len(head.anchors) // len(head.taps)
    # The coarsest map comes first among the maps and has the largest anchors, which come last.
    groups = [head.anchors[place * share : (place + 1) * share] for place in range(len(head.taps))]
    return tuple(AnchorMap(tap, group) for tap, group in zip(head.taps, reversed(groups), strict=True))
