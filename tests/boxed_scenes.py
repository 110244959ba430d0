"""Noise with red and blue patches as labelled data, in memory and as folders, and runs of a small detector on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import runs
from lensmith.data.formats.coco.writing import write as write_coco
from lensmith.data.formats.voc.writing import write as write_voc
from lensmith.data.formats.yolo.writing import write_yolo
from lensmith.records import Boxes, Labels, Record, Records

GROUP = "{block: {part: conv, norm: before}, filters: 8, pool: 2}"
LEARNER = f"learner: {{part: groups, groups: [{GROUP}, {GROUP}, {GROUP}]}}"
WRITERS = {"voc": write_voc, "coco": write_coco, "yolo": write_yolo}
NAMES = ("red", "blue")


def scenes(count: int = 16, *, names: tuple[str, ...] = NAMES, seed: int = 0, most: int = 2) -> Records:
    """Noise of 64 x 64 with no, one or two patches, red or blue."""
    rng = np.random.default_rng(seed)
    items = []
    for number in range(count):
        image = rng.integers(60, 110, (64, 64, 3), dtype=np.uint8)
        corners, classes = [], []
        for _ in range(number % (most + 1)):
            width, height = rng.integers(14, 26, 2)
            x, y, chosen = rng.integers(0, 64 - width), rng.integers(0, 64 - height), int(rng.integers(2))
            image[y : y + height, x : x + width] = {"red": (220, 30, 30), "blue": (30, 30, 220)}[names[chosen]]
            corners.append((x, y, x + width, y + height))
            classes.append(chosen)
        boxes = Boxes(np.asarray(corners, np.float32).reshape(-1, 4), classes)
        items.append(Record(f"scene{number:02}-{seed}", image, targets={"objects": boxes}))
    return Records(tuple(items), {"objects": Labels("boxes", names)}, "scenes")


def with_kinds(records: Records) -> Records:
    """The same with a class for each image: whether there is anything."""
    items = tuple(
        Record(one.source, one.image, targets={"kind": min(len(one.targets["objects"]), 1), **one.targets})
        for one in records
    )
    return Records(items, {"kind": Labels("class", ("nothing", "something")), **records.labels}, "scenes")


def folder_of(root: Path, kind: str, records: Records) -> Path:
    root.mkdir()
    WRITERS[kind](records, root)
    return root


def prepared(text: str, records: Records | None = None, **settings: Any) -> runs.Prepared:
    return runs.prepare(runs.parse_spec(text), records, **settings)


def spec(*lines: str, source: object = "x") -> str:
    return "\n".join([f"data: {{source: {json.dumps(str(source))}}}", *lines])
