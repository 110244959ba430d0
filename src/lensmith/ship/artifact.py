"""Run a shipped artifact: pixels or rows in, probabilities, numbers or boxes out; needs ONNX Runtime, not Keras."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lensmith import check
from lensmith.boxes import Thresholds
from lensmith.data import Preprocessing, decode
from lensmith.records import Labels, Record
from lensmith.ship.suppression import CANDIDATES, SETTINGS, settings

if TYPE_CHECKING:
    from lensmith.compose import Recipe

Example = Record | Path | str | np.ndarray  # an image file, uint8 pixels (h, w, channels), or a row of numbers
Outputs = dict[str, np.ndarray]  # float32 (examples, units) by task; of detectors (examples, most, 6)

WINDOW = 32  # examples in memory at once
_PIXELS = 2**24  # of a batch: their float32 copy takes 200 MB in colour
_TAPS = 4  # rows that one row of a small image made larger is interpolated from
# What an artifact carries besides the network, under these names with this prefix.
PREFIX = "lensmith."
FACTS = ("version", "labels", "preprocessing", "recipe", "size_limit", "proof")


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """A shipped model, opened by :func:`open_artifact`.

    Args:
        path: the ONNX file.
        labels: the meaning of the outputs, by task.
        preprocessing: what happens inside to each example.
        size_limit: the longest side of an image it takes, in pixels.
        proof: how close it is to the model it came from: ``max_difference``, ``images``, ``tolerance`` and the
            version of ``onnxruntime``; see :class:`lensmith.ship.Proof`.
        version: of Lensmith, when it was made.
        recipe_yaml: the recipe of the network, as text.
        session: the ``onnxruntime.InferenceSession``.
    """

    path: Path
    labels: Mapping[str, Labels]
    preprocessing: Preprocessing
    size_limit: int
    proof: Mapping[str, Any]
    version: str
    recipe_yaml: str
    session: Any

    @property
    def recipe(self) -> Recipe:
        """The recipe of the network; reading it imports Keras, which nothing else here does."""
        from lensmith.compose import Recipe

        return Recipe.from_yaml(self.recipe_yaml)

    @property
    def detectors(self) -> tuple[str, ...]:
        """The tasks that find objects: those that have thresholds."""
        given = {value.name for value in self.session.get_overridable_initializers()}
        return tuple(task for task in self.labels if f"{task}/{SETTINGS[0]}" in given)

    def predict(self, examples: Sequence[Example], *, thresholds: Thresholds | None = None) -> Outputs:
        """The outputs for examples of any sizes; those of one size run together.

        Args:
            examples: at least one.
            thresholds: which objects count as found; None: those of the recipe.

        Returns:
            For each task, float32 of shape ``(examples, units)``: probabilities or numbers. For one that finds
            objects ``(examples, most, 6)``: x1, y1, x2, y2 as shares of the image, score and class, the best first,
            padded as :func:`lensmith.boxes.padded` does.

        Raises:
            DataError: an example cannot be read, or an image is larger than the artifact takes; it is named.
            SettingError: there are thresholds, but no task that finds objects.
        """
        given = {}
        if thresholds is not None:
            values = settings(thresholds)
            given = {f"{task}/{name}": values[name] for task in finders(self.detectors) for name in SETTINGS}
        return self._run(examples, {task: task for task in self.labels}, given)

    def candidates(self, examples: Sequence[Example]) -> Outputs:
        """All that the tasks that find objects choose from, before any threshold.

        Returns:
            For each such task float32 ``(examples, N, 5 + classes)``: x1, y1, x2, y2 as shares of the image,
            objectness, and the score of each class.

        Raises:
            DataError: as of :meth:`predict`.
            SettingError: no task finds objects.
        """
        return self._run(examples, {task: f"{task}/{CANDIDATES}" for task in finders(self.detectors)}, {})

    def _run(self, examples: Sequence[Example], outputs: Mapping[str, str], given: Mapping[str, np.ndarray]) -> Outputs:
        rows = self.preprocessing.image is None
        return joined(self._window(window, outputs, given) for window in windows(examples, rows=rows))

    def _window(self, window: Sequence[Record], wanted: Mapping[str, str], given: Mapping[str, np.ndarray]) -> Outputs:
        raw = [self._raw(record) for record in window]
        (source,) = self.session.get_inputs()
        places, outputs = [], []
        height = self.preprocessing.image[0] if self.preprocessing.image else 1
        for batch in _of_one_shape(raw, height):
            places.extend(batch)
            found = self.session.run(list(wanted.values()), {source.name: np.stack([raw[i] for i in batch]), **given})
            outputs.append(dict(zip(wanted, found, strict=True)))
        order = np.argsort(places)
        return {task: values[order] for task, values in joined(outputs).items()}

    def _raw(self, record: Record) -> np.ndarray:
        if self.preprocessing.image is None:
            return self.preprocessing.raw(record)
        if record.image is None:
            raise check.DataError(check.sentence(record.source, "an image", "a row of numbers"))
        pixels = decode(record.image, self.preprocessing.image[2], place=record.source)
        if max(pixels.shape[:2]) > self.size_limit:
            expected = f"sides of at most {self.size_limit} pixels"
            got = f"{pixels.shape[0]} by {pixels.shape[1]}"
            raise check.DataError(check.sentence(record.source, expected, got, "Make the image smaller"))
        return pixels


def open_artifact(path: Path | str) -> Artifact:
    """Open an ONNX file that Lensmith exported.

    Raises:
        DataError: the file is missing, is not ONNX, or was not exported by Lensmith.
        LensmithError: ONNX Runtime is not installed.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise check.DataError(f"{path}: the artifact cannot be read: {reason}") from error
    return artifact_from_bytes(content, path)


def artifact_from_bytes(content: bytes, path: Path) -> Artifact:
    """The artifact whose file would hold ``content``; ``path`` is what to call it. Errors as :func:`open_artifact`."""
    session = _session(content, path)
    stored = session.get_modelmeta().custom_metadata_map
    facts = {fact: stored.get(PREFIX + fact, "") for fact in FACTS}
    try:
        labels = {task: Labels.from_dict(values) for task, values in json.loads(facts["labels"]).items()}
        preprocessing = Preprocessing.from_dict(json.loads(facts["preprocessing"]))
        limit, proof = int(facts["size_limit"]), json.loads(facts["proof"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        expected = "an artifact exported by Lensmith"
        remedy = "lensmith ship makes one of a run"
        got = "an ONNX file without its labels and preprocessing"
        raise check.DataError(check.sentence(str(path), expected, got, remedy)) from error
    return Artifact(path, labels, preprocessing, limit, proof, facts["version"], facts["recipe"], session)


def _session(content: bytes, path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise check.need_extra("onnxruntime", "ship") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors: they are raised too, and its warnings say nothing to a user
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a dozen classes of errors of its own, with no common one
        if type(error).__name__ == "InvalidProtobuf":  # a file of some other kind
            raise _no_onnx(path) from error
        raise check.DataError(f"{path}: not an ONNX file that can be run: {check.reason(error)}") from error


def _no_onnx(path: Path) -> check.DataError:
    expected = "a run, a saved model, an artifact (.onnx) or a Darknet network (.cfg)"
    darknet = path.suffix.lower() == ".weights"
    remedy = "Name the .cfg, and this file with --weights" if darknet else ""
    return check.DataError(check.sentence(str(path), expected, "what is not an ONNX file that can be run", remedy))


def name_of(example: Example, index: int) -> str:
    """What to call an example: its source, its path, or its place among the examples."""
    if isinstance(example, Record):
        return example.source
    return f"example {index + 1}" if isinstance(example, np.ndarray) else str(example)


def windows(examples: Sequence[Example], *, rows: bool) -> Iterator[list[Record]]:
    """The examples as records, so that each has a name, a few at a time.

    Args:
        examples: at least one.
        rows: they are rows of numbers, not images.
    """
    if not len(examples):
        raise check.DataError(check.sentence("examples", "at least one", "none"))
    for start in range(0, len(examples), WINDOW):
        yield [_record(example, i, rows=rows) for i, example in enumerate(examples[start : start + WINDOW], start)]


def _record(example: Example, index: int, *, rows: bool) -> Record:
    if isinstance(example, Record):
        return example
    name = name_of(example, index)
    if rows:
        return Record(name, row=np.asarray(example))
    return Record(name, image=Path(example) if isinstance(example, str) else example)


def finders(tasks: Sequence[str]) -> Sequence[str]:
    """The tasks that find objects, if there are any.

    Raises:
        SettingError: there are none.
    """
    if not tasks:
        raise check.SettingError(check.sentence("thresholds", "a model that finds objects", "one without such a task"))
    return tasks


def joined(parts: Iterable[Mapping[str, np.ndarray]]) -> Outputs:
    """Outputs of several batches, one after the other."""
    listed = list(parts)
    return {task: np.concatenate([part[task] for part in listed]) for task in listed[0]}


def _of_one_shape(arrays: Sequence[np.ndarray], height: int) -> Iterator[list[int]]:
    """The indices of arrays of one shape, in batches that fit in memory when they are resized to this height."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, array in enumerate(arrays):
        by_shape.setdefault(array.shape, []).append(i)
    for shape, indices in by_shape.items():
        rows, columns = (*shape[:2], 1)[:2]
        size = max(1, _PIXELS // (max(rows, _TAPS * height) * columns))
        yield from (indices[start : start + size] for start in range(0, len(indices), size))
