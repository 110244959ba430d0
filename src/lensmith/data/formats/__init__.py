"""Files → records → files: a room for each kind of format, and this table of them."""

from __future__ import annotations

from lensmith.data.formats.arrays.archives import NPZ
from lensmith.data.formats.arrays.idx import IDX
from lensmith.data.formats.coco.reading import COCO
from lensmith.data.formats.folders.classes import FOLDERS
from lensmith.data.formats.folders.names import NAMES
from lensmith.data.formats.folders.unlabelled import UNLABELLED
from lensmith.data.formats.format import Format
from lensmith.data.formats.masks.reading import MASKS
from lensmith.data.formats.tables.csv_files import CSV
from lensmith.data.formats.tables.lists import JSON
from lensmith.data.formats.voc.reading import VOC
from lensmith.data.formats.yolo.reading import YOLO

# In the order in which they are tried: what says the most about itself first, what takes any image last.
FORMATS: tuple[Format, ...] = (
    VOC,
    COCO,
    YOLO,
    MASKS,
    CSV,
    JSON,
    NPZ,
    IDX,
    FOLDERS,
    NAMES,
    UNLABELLED,
)
