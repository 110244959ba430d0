"""Which examples train, which choose, which judge: one split, k folds, and a split that is written down."""

from __future__ import annotations

from lensmith.data.splits.folding import folds
from lensmith.data.splits.splitting import split
from lensmith.data.splits.written import Split, read_split, write_split

__all__ = ["Split", "folds", "read_split", "split", "write_split"]
