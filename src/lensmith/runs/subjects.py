"""Open what is to be looked into: a model with its layers, and how an example enters it.

Besides what ``lensmith predict`` opens, that is any ``.keras`` file of a user's own. Such a file does not say how
pixels are scaled: where the model itself does not scale them, 0..1 is taken unless something else is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lensmith import check, ship
from lensmith.backend import keras
from lensmith.compose import graph
from lensmith.data import Preprocessing
from lensmith.probe import Subject
from lensmith.probe.heads import Head, heads
from lensmith.records import Kind, Labels
from lensmith.runs.opening import open_model
from lensmith.ship.proof import Predictor

_SCALING_LAYERS = ("Rescaling", "Normalization")
_SIZE = 224  # of a model that takes images of any size
_ASSUMED = "pixels enter as 0..1; if it was trained otherwise, say --scaling"


def open_subject(
    path: str | Path,
    weights: str | Path | None = None,
    *,
    scaling: str | None = None,
    size: tuple[int, int] | None = None,
    names: tuple[str, ...] | None = None,
) -> Subject:
    """The model at a path with what it needs to be asked.

    Args:
        path: a run, a saved model, a ``.keras`` file, or with ``weights`` the name of a row of the zoo.
        weights: see :func:`lensmith.runs.open_model`.
        scaling: of a ``.keras`` file: ``0..1``, ``-1..1`` or ``none`` (0..255).
        size: of a ``.keras`` file that takes images of any size: height and width.
        names: of the classes of its only task, in the order of the outputs.

    Raises:
        SettingError: nothing is there; it is an artifact, which has no layers any more; a model that is not made of
            connected layers; or one of these settings is given for a model that brings its own.
        DataError: the model's files are broken.
    """
    path = Path(path)
    if weights is None and path.suffix == ".keras":
        return _own(path, scaling, size, names)
    opened = open_model(path, weights)
    if isinstance(opened, ship.Artifact):
        remedy = "Name the run that it was shipped from, or the saved model"
        raise check.SettingError(check.sentence(str(path), "a model with its layers", "a shipped artifact", remedy))
    for name, value in (("scaling", scaling), ("size", size)):
        if value is not None:
            got = f"{name} for {path}, which brings its own"
            raise check.SettingError(check.sentence(f"--{name}", "it with a .keras file alone", got))
    labels = opened.labels if names is None else _renamed(opened.labels, names)
    return Subject(opened.model, opened.preprocessing, labels, path.name)


def _renamed(labels: Mapping[str, Labels], names: tuple[str, ...]) -> Mapping[str, Labels]:
    """The labels of a network of the zoo, whose file does not say what its classes are called."""
    counts = {task: len(one.names) for task, one in labels.items()}
    if list(counts.values()) != [len(names)]:
        expected = ", ".join(f"{count} names of {task}" for task, count in counts.items())
        raise check.SettingError(check.sentence("--labels", f"{expected}, the only task", f"{len(names)} names"))
    return {task: Labels(one.kind, names) for task, one in labels.items()}


def open_predictor(path: str | Path, weights: str | Path | None = None) -> Predictor:
    """What answers at a path, with its layers or without: also a shipped artifact.

    Raises:
        SettingError, DataError: as :func:`open_subject`.
    """
    own = weights is None and Path(path).suffix == ".keras"
    return open_subject(path) if own else open_model(path, weights)


def _own(path: Path, scaling: str | None, size: tuple[int, int] | None, names: tuple[str, ...] | None) -> Subject:
    model = graph.flat(_loaded(path))
    if len(model.inputs) != 1 or len(model.inputs[0].shape) not in (2, 4):
        got = ", ".join(str(tuple(tensor.shape)) for tensor in model.inputs)
        raise check.SettingError(check.sentence(str(path), "a model that takes one image, or one row", got))
    preprocessing, note = _preprocessing(model, scaling, size)
    _check_size(model, path, preprocessing)
    model, said = _with_probabilities(model)
    notes = tuple(f"{path.name}: {one}" for one in (note, said) if one)
    return Subject(model, preprocessing, _labels(model, names), path.stem, notes)


def _loaded(path: Path) -> Any:
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)  # code in the file is refused
    except Exception as error:  # Keras raises whatever a broken byte or an unknown class leads it to
        reason = check.reason(error) if path.is_file() else "no such file"
        if "safe_mode" in str(error):
            reason = "it holds code, such as a Lambda layer, and nothing that is loaded may run code"
        raise check.DataError(f"{path}: not a .keras file that can be loaded: {reason}") from None


def _preprocessing(model: Any, scaling: str | None, size: tuple[int, int] | None) -> tuple[Preprocessing, str]:
    """How an example enters, and what was assumed of it."""
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) == 1:
        return Preprocessing(columns=shape[0], scaling=scaling or "none"), ""
    height, width = (side or other for side, other in zip(shape[:2], size or (_SIZE, _SIZE), strict=True))
    scales = any(type(call.layer).__name__ in _SCALING_LAYERS for call in graph.calls(model)[:4])
    note = "pixels enter as 0..255, for the model scales them itself" if scales else _ASSUMED
    chosen = scaling or ("none" if scales else "0..1")
    return Preprocessing(image=(height, width, shape[2]), scaling=chosen), "" if scaling else note


def _check_size(model: Any, path: Path, preprocessing: Preprocessing) -> None:
    """Refuse a size at which nothing is left of the image before the model's end."""
    if None not in model.inputs[0].shape[1:]:
        return
    try:
        model.compute_output_shape((1, *preprocessing.shape))
    except Exception as error:  # each layer refuses in words of its own
        got = " x ".join(str(side) for side in preprocessing.shape[:2])
        raise check.SettingError(
            check.sentence("--size", f"a size that {path} can take", f"{got}: {check.reason(error)}")
        ) from None


def _with_probabilities(model: Any) -> tuple[Any, str]:
    """The model with a softmax on logits of classes, since it is probabilities that are shown and compared."""
    bare = {head.place: head.name for head in heads(model) if head.classes and not head.probable}
    if not bare:
        return model, ""
    outputs = graph.outputs_of(model)
    for place, name in bare.items():
        outputs[place] = keras.layers.Softmax(name=f"{name}-probabilities")(outputs[place])
    note = f"{', '.join(bare.values())} gives logits; their softmax is shown"
    return keras.Model(model.input, keras.tree.pack_sequence_as(model.output, outputs), name=model.name), note


def _labels(model: Any, names: tuple[str, ...] | None) -> Mapping[str, Labels]:
    """What the outputs may mean, told by their last activations."""
    found = heads(model)
    named = {"label" if len(found) == 1 else head.name: head for head in found}
    labels = {task: Labels(_kind(head), head.names) for task, head in named.items()}
    return labels if names is None else _renamed(labels, names)


def _kind(head: Head) -> Kind:
    if not head.classes:
        return "number"
    return "class" if head.binary or head.ending != "sigmoid" else "classes"
