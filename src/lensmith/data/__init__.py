"""Data: files, arrays and tables → records → an audit, a split, batches."""

from __future__ import annotations

from lensmith.data.formats.arrays import from_arrays, from_rows
from lensmith.data.formats.folders import read_folder
from lensmith.data.formats.samples import bundled
from lensmith.data.formats.sources import read
from lensmith.data.images import decode
from lensmith.data.inspection.auditing import Audit, audit
from lensmith.data.inspection.findings import Finding
from lensmith.data.pipeline.batches import Batches, batches
from lensmith.data.preprocess import Preprocessing, preprocessing
from lensmith.data.resampling import resize, resize_matrix
from lensmith.data.splits import split
from lensmith.data.targets import to_array

__all__ = [
    "Audit",
    "Batches",
    "Finding",
    "Preprocessing",
    "audit",
    "batches",
    "bundled",
    "decode",
    "from_arrays",
    "from_rows",
    "preprocessing",
    "read",
    "read_folder",
    "resize",
    "resize_matrix",
    "split",
    "to_array",
]
