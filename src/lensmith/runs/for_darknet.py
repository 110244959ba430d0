"""Ship a run as Darknet's files, read back and compared before they count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from lensmith import check, ship
from lensmith.boxes import Thresholds
from lensmith.compose.detection import DETECTORS
from lensmith.detect.darknet import open_darknet, write_darknet
from lensmith.records import Labels
from lensmith.runs.judge import some
from lensmith.runs.opening import finished, measured_on
from lensmith.ship.artifact import Example, Outputs

TOLERANCE = 1e-4  # normalisation is folded into the convolutions: the same numbers, rounded in another order


def ship_darknet(run: str | Path, out: Path | None = None) -> tuple[tuple[Path, Path, Path], ship.Proof]:
    """Write the model of a finished run as ``.cfg``, ``.weights`` and ``.names``, after reading them back.

    Darknet resizes images in a way of its own, so that what it finds in an image may differ a little; on the same
    pixels it finds the same.

    Args:
        run: its folder.
        out: where, without a suffix; left out, ``RUN/darknet``.

    Returns:
        The three files, and how equal they are to the model.

    Raises:
        SettingError: the run has not finished, has several tasks, or a layer that Darknet does not have; names it.
        ProofError: what was written does not say what the model says; nothing is left of it.
    """
    folder = finished(run)
    saved = ship.load(folder.model)
    if len(saved.labels) != 1:
        got = ", ".join(saved.labels)
        raise check.SettingError(check.sentence(str(run), "a model of one task, as Darknet has", got))
    (labels,) = saved.labels.values()
    with TemporaryDirectory() as beside:
        trial = write_darknet(Path(beside) / "model", saved.model, labels.names, saved.preprocessing)
        proof = ship.prove(saved, _read_back(trial, saved), some(measured_on(run)), tolerance=TOLERANCE)
    return write_darknet(out or folder.path / "darknet", saved.model, labels.names, saved.preprocessing), proof


@dataclass(frozen=True, slots=True, eq=False)
class _Renamed:
    """A network that was read back, its task called as the model calls it."""

    saved: ship.Saved
    task: str

    @property
    def labels(self) -> Mapping[str, Labels]:
        return {self.task: next(iter(self.saved.labels.values()))}

    def predict(self, examples: Sequence[Example], *, thresholds: Thresholds | None = None) -> Outputs:
        given = (
            self.saved.predict(examples) if thresholds is None else self.saved.predict(examples, thresholds=thresholds)
        )
        return {self.task: next(iter(given.values()))}

    def candidates(self, examples: Sequence[Example]) -> Outputs:
        return {self.task: next(iter(self.saved.candidates(examples).values()))}


def _read_back(written: tuple[Path, Path, Path], saved: ship.Saved) -> _Renamed:
    """The network of these files, with the model's thresholds, on pixels that are resized as the model's are."""
    read = open_darknet(*written)
    (task,), (known,) = saved.recipe.tasks, read.recipe.tasks
    head, own = read.recipe.tasks[known], saved.recipe.tasks[task]
    if isinstance(head, DETECTORS) and isinstance(own, DETECTORS):
        head = replace(head, thresholds=own.thresholds)
    recipe = replace(read.recipe, tasks={known: head})
    pixels = replace(read.preprocessing, resize=saved.preprocessing.resize)
    return _Renamed(ship.Saved(read.model, recipe, read.labels, pixels), task)
