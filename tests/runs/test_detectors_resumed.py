"""A detector that was killed ends with the bits of one that was left alone, at one size and at several."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from boxed_scenes import LEARNER, folder_of, prepared, scenes
from lensmith import runs, train


class Stop(BaseException):
    """Ends a run as a kill would."""


class Killer(train.Silent):
    """Ends training after a step."""

    def __init__(self, last: int) -> None:
        self.last = last

    def on_step(self, step: int, values: object, waited: float) -> None:
        if step == self.last:
            raise Stop


@pytest.mark.parametrize("sizes", ["", ", sizes: [48, 64, 96]"])
def test_a_killed_detector_ends_with_the_same_bits(sizes: str, tmp_path: Path) -> None:
    text = (
        "data: {source: x, batch: 2, augment: {shift: 0.1, mosaic: 0.5}}\n"
        f"model: {{{LEARNER}, tasks: {{objects: {{part: yolo-v2, tap: P3, passthrough: P2, width: 8}}}}}}\n"
        f"ship: null\ntrain: [{{epochs: 2, rate: 0.01, monitor: val_map50, checkpoint_every: 3{sizes}}}]"
    )
    folder = folder_of(tmp_path / "voc", "voc", scenes(36))  # 11 batches an epoch: two draws of a size
    text = text.replace("source: x", f"source: {json.dumps(str(folder))}")
    whole = runs.begin(tmp_path / "whole", prepared(text))
    for name, last in (("early", 5), ("late", 16)):
        with pytest.raises(Stop):
            runs.begin(tmp_path / name, prepared(text), progress=Killer(last))
        again = runs.resume(tmp_path / name)
        assert again.folder.history.read_bytes() == whole.folder.history.read_bytes()
        first, second = (load_file(run.folder.model / "weights.safetensors") for run in (whole, again))
        assert all(np.array_equal(first[key], second[key]) for key in first)
        assert again.results["metrics"] == whole.results["metrics"]  # type: ignore[index]
