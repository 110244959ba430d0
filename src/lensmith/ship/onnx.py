"""Export to ONNX: one file with the preprocessing, the network and the labels, proven before it exists."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import __version__, check
from lensmith.backend import devices, keras
from lensmith.ship.artifact import FACTS, PREFIX, Example, artifact_from_bytes
from lensmith.ship.entry import INPUTS, SCALED, SIZE_LIMIT, entry
from lensmith.ship.proof import TOLERANCE, Proof, prove
from lensmith.ship.saved import Saved, arrays_of, assign
from lensmith.ship.writing import put_file

OPSET = 18
# Before every name inside, so that none meets another or a task's.
_ENTRY, _NETWORK = "preprocessing/", "network/"


def export(
    saved: Saved, path: Path | str, images: Sequence[Example], *, tolerance: float = TOLERANCE, opset: int = OPSET
) -> Proof:
    """Write an ONNX artifact, after proving that it says what the model says.

    Its input is ``images``, uint8 of shape ``(batch, height, width, channels)`` with any batch and any sides up to
    8192 pixels, or ``rows``, float32 of shape ``(batch, columns)``; its outputs are named by task and give
    probabilities, or numbers for a regression. Labels, preprocessing, recipe and proof stand in its metadata.

    Args:
        saved: the model.
        path: of the file; one that is there is replaced.
        images: real examples to compare on, as they are before any preprocessing; at least one. Of different
            sizes is best, for they prove the resize too.
        tolerance: the largest difference of a probability to accept.
        opset: the version of ONNX's operators, 18 or later.

    Returns:
        How close the two are.

    Raises:
        ProofError: they differ. Nothing is written, and an earlier file stays as it is.
        SettingError: a setting is wrong, or a task is called as the input is.
        LensmithError: the backend cannot export, or a package is missing.
    """
    path = Path(path)
    if opset < OPSET:
        raise check.SettingError(check.sentence("opset", f"{OPSET} or later", opset))
    for task in saved.labels:
        if task in INPUTS:
            remedy = "Give the task another name"
            raise check.SettingError(check.sentence("tasks", "no task called as the input", repr(task), remedy))
    facts = _facts(saved)
    with keras.device("cpu"):
        exact = _on_cpu(saved)
        model = _assemble(exact, opset)
        unproven = artifact_from_bytes(_packed(model, facts), path)
        proof = prove(exact, unproven, images, tolerance=tolerance)
    content = _packed(model, facts | {"proof": json.dumps(proof.to_dict() | _prover())})
    put_file(path, lambda beside: beside.write_bytes(content))
    return proof


def _on_cpu(saved: Saved) -> Saved:
    """The model on the CPU, where float32 is float32: graphics cards round the factors of a product to 10 bits."""
    if all("cpu" in device.lower() for device in devices()):
        return saved
    model = saved.recipe.build(seed=0)
    assign(model, arrays_of(saved.model), "model")
    return replace(saved, model=model)


def _assemble(saved: Saved, opset: int) -> Any:
    """The preprocessing and the network as one ONNX model, its outputs named by task."""
    tasks = list(saved.labels)
    network = _network(saved.model, tasks, opset)  # first: it says so when onnx is missing
    from onnx import checker, compose

    _strip(network)
    _keep_zeros_before_max_pools(network.graph)
    network = compose.add_prefix(network, _NETWORK)
    first = entry(saved.preprocessing, opset)
    (source,) = (value.name for value in first.graph.input)
    first = compose.add_prefix(first, _ENTRY)
    first.ir_version = network.ir_version
    model = compose.merge_models(
        first,
        network,
        io_map=[(_ENTRY + SCALED, network.graph.input[0].name)],
        name="lensmith",
        producer_name="lensmith",
        producer_version=__version__,
    )
    model.graph.doc_string = ""
    model.ClearField("opset_import")  # the merge lists it twice
    model.opset_import.extend(network.opset_import)
    outputs = (output.name for output in model.graph.output)
    _rename(model.graph, {_ENTRY + source: source, **dict(zip(outputs, tasks, strict=True))})
    checker.check_model(model, full_check=True)
    return model


def _network(model: Any, tasks: Sequence[str], opset: int) -> Any:
    """The network alone as an ``onnx.ModelProto``, one output a task in their order; the one thing a backend must do.

    Raises:
        LensmithError: this backend cannot.
    """
    backend = keras.config.backend()
    if backend != "torch":
        remedy = "Export the saved model with the environment variable KERAS_BACKEND=torch; it loads on every backend"
        raise check.LensmithError(check.sentence("export to ONNX", "the torch backend", backend, remedy))
    try:
        import onnxscript  # noqa: F401, torch's exporter needs it, and onnx with it
    except ImportError as error:
        raise check.need_extra("onnxscript", "ship") from error
    import torch

    outputs = model.output if isinstance(model.output, dict) else {tasks[0]: model.output}
    view = keras.Model(model.input, [outputs[task] for task in tasks])
    examples = keras.ops.zeros((2, *model.input.shape[1:]))
    with _quiet():
        program = torch.onnx.export(
            view.eval(),
            (examples,),
            dynamo=True,
            dynamic_shapes=[({0: torch.export.Dim("batch")},)],
            opset_version=opset,
            verbose=False,
        )
    return program.model_proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of every package that it could use and that is not here
    with warnings.catch_warnings():
        # torch copies its own graph and meets a class of its own that it has deprecated.
        warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.` is deprecated", FutureWarning)
        try:
            yield
        finally:
            log.setLevel(level)


def _strip(network: Any) -> None:
    """Take out what the exporter noted for itself: with the paths of this machine, as long as the network."""
    graph = network.graph
    for part in (network, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.value_info[:]


def _keep_zeros_before_max_pools(graph: Any) -> None:
    """Pad with the smallest number above 0 where a max pool follows.

    ONNX Runtime (up to 1.31 at least) moves a padding of zeros into the max pool, whose own padding is minus infinity:
    where all inputs are negative, the border comes out wrong. Any other number it leaves where it is.
    """
    from onnx import numpy_helper

    readers = {name: node for node in graph.node for name in node.input}
    for node in graph.node:
        reader = readers.get(node.output[0])
        while reader is not None and reader.op_type == "Transpose":
            reader = readers.get(reader.output[0])
        if node.op_type == "Pad" and len(node.input) == 2 and reader is not None and reader.op_type == "MaxPool":
            number = numpy_helper.from_array(np.array(np.finfo(np.float32).tiny), f"{node.output[0]}/almost-zero")
            graph.initializer.append(number)
            node.input.append(number.name)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for node in graph.node:
        for listed in (node.input, node.output):
            listed[:] = [names.get(name, name) for name in listed]
    for value in (*graph.input, *graph.output):
        value.name = names[value.name]


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


def _prover() -> dict[str, str]:
    import onnxruntime

    return {"onnxruntime": onnxruntime.__version__}


def _packed(model: Any, facts: Mapping[str, str]) -> bytes:
    from onnx import helper

    helper.set_model_props(model, {PREFIX + fact: facts[fact] for fact in FACTS})
    content: bytes = model.SerializeToString()
    return content
