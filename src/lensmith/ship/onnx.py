"""Export to ONNX: one file with the preprocessing, the network and the labels, proven before it exists."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lensmith import __version__, check
from lensmith.backend import devices, keras
from lensmith.files import put_file
from lensmith.ship.artifact import FACTS, PREFIX, Example, artifact_from_bytes
from lensmith.ship.entry import INPUTS, SCALED, SIZE_LIMIT, entry
from lensmith.ship.network import export_network
from lensmith.ship.proof import TOLERANCE, Proof, prove
from lensmith.ship.saved import Saved, arrays_of, assign
from lensmith.ship.suppression import CANDIDATES, append_suppression, rename

# Before every name inside, so that none meets another or a task's.
_ENTRY, _NETWORK = "preprocessing/", "network/"


def export(saved: Saved, path: Path | str, images: Sequence[Example], *, tolerance: float = TOLERANCE) -> Proof:
    """Write an ONNX artifact, after proving that it says what the model says.

    Its input is ``images``, uint8 of shape ``(batch, height, width, channels)`` with any batch and any sides up to
    8192 pixels, or ``rows``, float32 of shape ``(batch, columns)``; its outputs are named by task and give
    probabilities, or numbers for a regression. Labels, preprocessing, recipe and proof stand in its metadata.

    A task that finds objects gives ``(batch, most, 6)``: x1, y1, x2, y2 as shares of the image, score and class, the
    best first; where there are fewer, rows of 0 with class -1. Its thresholds are further inputs, which need not be
    given: ``TASK/score_threshold``, ``TASK/iou_threshold``, ``TASK/most``, ``TASK/classwise`` and ``TASK/best``, as of
    :class:`lensmith.boxes.Thresholds`. A further output, ``TASK/candidates``, ``(batch, N, 5 + classes)``, is what
    they choose from: x1, y1, x2, y2, objectness, and the score of each class.

    Args:
        saved: the model.
        path: of the file; one that is there is replaced.
        images: real examples to compare on, as they are before any preprocessing; at least one. Of different
            sizes is best, for they prove the resize too.
        tolerance: the largest difference of a probability to accept.

    Returns:
        How close the two are.

    Raises:
        ProofError: they differ. Nothing is written, and an earlier file stays as it is.
        SettingError: a task is called as the input is.
        LensmithError: the backend cannot export, or a package is missing.
    """
    path = Path(path)
    for task in saved.labels:
        if task in INPUTS:
            remedy = "Give the task another name"
            raise check.SettingError(check.sentence("tasks", "no task called as the input", repr(task), remedy))
    facts = _facts(saved)
    with keras.device("cpu"):
        exact = _on_cpu(saved)
        model = _assemble(exact)
        unproven = artifact_from_bytes(_packed(model, facts), path)
        proof = prove(exact, unproven, images, tolerance=tolerance)
    content = _packed(model, facts | {"proof": json.dumps(_public(proof))})
    put_file(path, lambda beside: beside.write_bytes(content))
    return proof


def _on_cpu(saved: Saved) -> Saved:
    """The model on the CPU, where float32 is float32: graphics cards round the factors of a product to 10 bits."""
    if all("cpu" in device.lower() for device in devices()):
        return saved
    model = saved.recipe.build(seed=0)
    assign(model, arrays_of(saved.model), "model")
    return replace(saved, model=model)


def _assemble(saved: Saved) -> Any:
    """The preprocessing and the network as one ONNX model, its outputs named by task."""
    tasks = list(saved.labels)
    second = export_network(saved.model, tasks)  # before onnx is imported: it says so when that is missing
    from onnx import checker, compose

    second = compose.add_prefix(second, _NETWORK)
    first = entry(saved.preprocessing)
    (source,) = (value.name for value in first.graph.input)
    first = compose.add_prefix(first, _ENTRY)
    first.ir_version = second.ir_version
    model = compose.merge_models(
        first,
        second,
        io_map=[(_ENTRY + SCALED, second.graph.input[0].name)],
        name="lensmith",
        producer_name="lensmith",
        producer_version=__version__,
    )
    model.graph.doc_string = ""
    model.ClearField("opset_import")  # the merge lists it twice
    model.opset_import.extend(second.opset_import)
    outputs = (output.name for output in model.graph.output)
    detectors = saved.thresholds
    ends = (f"{task}/{CANDIDATES}" if task in detectors else task for task in tasks)
    names = {_ENTRY + source: source, **dict(zip(outputs, ends, strict=True))}
    rename(model.graph, lambda name: names.get(name, name))
    for task, thresholds in detectors.items():
        append_suppression(model.graph, task, len(saved.labels[task].names), thresholds)
    checker.check_model(model, full_check=True)
    return model


def _facts(saved: Saved) -> dict[str, str]:
    """What the artifact carries besides the network; see :data:`lensmith.ship.artifact.FACTS`."""
    labels = {task: labels.to_dict() for task, labels in saved.labels.items()}
    return {
        "version": __version__,
        "labels": json.dumps(labels, ensure_ascii=False),
        "preprocessing": json.dumps(saved.preprocessing.to_dict()),
        "recipe": saved.recipe.to_yaml(),
        "size_limit": str(SIZE_LIMIT),
        "proof": "{}",
    }


def _public(proof: Proof) -> dict[str, Any]:
    """The proof without the name of the worst example, which may be a path of this machine."""
    import onnxruntime

    facts = {name: value for name, value in proof.to_dict().items() if name != "worst"}
    return facts | {"onnxruntime": onnxruntime.__version__}


def _packed(model: Any, facts: Mapping[str, str]) -> bytes:
    from onnx import helper

    helper.set_model_props(model, {PREFIX + fact: facts[fact] for fact in FACTS})
    content: bytes = model.SerializeToString()
    return content
