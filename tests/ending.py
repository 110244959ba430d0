"""Ending a run as a kill would, and telling whether it came to the same as another."""

from typing import Any

import numpy as np
from safetensors.numpy import load_file

from lensmith import runs, train


class Stop(BaseException):
    """Ends a run as a kill would."""


class Killer(train.Silent):
    """Ends training at a step, counted over all stages."""

    def __init__(self, at: int) -> None:
        self.left = at

    def on_step(self, step: int, values: Any, waited: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise Stop


def same(one: runs.Run, other: runs.Run) -> None:
    """The same history and looks to the byte, the same weights to the bit."""
    assert one.folder.history.read_bytes() == other.folder.history.read_bytes()
    assert one.folder.watch.read_bytes() == other.folder.watch.read_bytes()
    mine, theirs = (load_file(run.folder.model / "weights.safetensors") for run in (one, other))
    assert mine.keys() == theirs.keys()
    for name, array in mine.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)
