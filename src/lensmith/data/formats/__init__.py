"""Files → records → files, in every format. One file a format, and this table of them."""

from __future__ import annotations

from lensmith.data.formats.arrays.archives import NPZ
from lensmith.data.formats.arrays.idx import IDX
from lensmith.data.formats.coco import reading as coco
from lensmith.data.formats.folders.classes import FOLDERS
from lensmith.data.formats.folders.names import NAMES
from lensmith.data.formats.folders.unlabelled import UNLABELLED
from lensmith.data.formats.format import Format
from lensmith.data.formats.masks.reading import MASKS
from lensmith.data.formats.tables import csv_files, lists
from lensmith.data.formats.voc import reading as voc
from lensmith.data.formats.yolo import reading as yolo

# In the order in which they are tried: what says the most about itself first, what takes any image last.
FORMATS: tuple[Format, ...] = (
    voc.VOC,
    coco.COCO,
    yolo.YOLO,
    MASKS,
    csv_files.CSV,
    lists.JSON,
    NPZ,
    IDX,
    FOLDERS,
    NAMES,
    UNLABELLED,
)

# What a layout begins with, and what the format is called in a sentence.
TITLES = {
    "voc": "Pascal VOC",
    "coco": "COCO",
    "yolo": "YOLO",
    "masks": "PNG masks",
    "csv": "table",
    "json": "JSON rows",
    "npz": "NumPy arrays",
    "idx": "idx files",
    "folders": "class folders",
    "names": "labels in file names",
    "unlabelled": "unlabelled images",
}

# What a written file says of a box beside its corners and class, by the name of the format; of others nothing.
HELD = {"voc": voc.HOLDS, "coco": coco.HOLDS, "yolo": yolo.HOLDS, "csv": csv_files.HOLDS, "json": lists.HOLDS}

_BOXES = frozenset(("images", "labels", "names"))
_TABLE = frozenset(("image", "labels", "rows", "group", "images", "download", "hosts"))
# The hints that a format's reader heeds; one that it does not is refused, not forgotten.
HEEDED = {
    "voc": _BOXES,
    "coco": _BOXES,
    "yolo": _BOXES,
    "masks": frozenset(("names",)),
    "csv": _TABLE | {"separator"},
    "json": _TABLE,
    "npz": frozenset(("image", "labels", "group", "names")),
    "idx": frozenset(("labels", "names")),
    "folders": frozenset(("labels", "pattern", "group")),
    "names": frozenset(("labels", "pattern", "group")),
    "unlabelled": frozenset[str](),
}
