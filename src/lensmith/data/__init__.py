"""Data: any layout → records → an audit, a split, changed copies, batches."""

from __future__ import annotations

from lensmith.data.augmentation.record import PRESETS, Augment
from lensmith.data.convert import Converted, convert
from lensmith.data.formats import FORMATS
from lensmith.data.formats.arrays.memory import from_arrays, from_rows
from lensmith.data.formats.arrays.samples import bundled, image_path, photo
from lensmith.data.formats.folders.classes import read_folder
from lensmith.data.formats.format import SETTINGS
from lensmith.data.formats.sources import format_of, read, recognise, write
from lensmith.data.images import decode
from lensmith.data.inspection.auditing import Audit, audit
from lensmith.data.inspection.findings import Finding, by_severity
from lensmith.data.inspection.looking import readable
from lensmith.data.inspection.mending import mend
from lensmith.data.inspection.suspects import Suspect, suspect_findings, suspects
from lensmith.data.pipeline.batches import Batches, batches
from lensmith.data.pipeline.stream import Stream, stream
from lensmith.data.preprocess import Preprocessing, preprocessing
from lensmith.data.resampling import resize, resize_matrix
from lensmith.data.sheet import save_sheet, sheet
from lensmith.data.splits import Split, folds, read_split, split, write_split
from lensmith.data.targets import most_boxes, to_array

__all__ = [
    "FORMATS",
    "PRESETS",
    "SETTINGS",
    "Audit",
    "Augment",
    "Batches",
    "Converted",
    "Finding",
    "Preprocessing",
    "Split",
    "Stream",
    "Suspect",
    "audit",
    "batches",
    "bundled",
    "by_severity",
    "convert",
    "decode",
    "folds",
    "format_of",
    "from_arrays",
    "from_rows",
    "image_path",
    "mend",
    "most_boxes",
    "photo",
    "preprocessing",
    "read",
    "read_folder",
    "read_split",
    "readable",
    "recognise",
    "resize",
    "resize_matrix",
    "save_sheet",
    "sheet",
    "split",
    "stream",
    "suspect_findings",
    "suspects",
    "to_array",
    "write",
    "write_split",
]
