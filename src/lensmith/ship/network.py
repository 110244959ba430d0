"""The network alone as ONNX: all that an export needs of the backend."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lensmith import check
from lensmith.backend import keras
from lensmith.ship.entry import OPSET


def cannot_export() -> check.LensmithError | None:
    """Why nothing can be exported here, or None when it can: to be asked before hours of training, not after."""
    backend = keras.config.backend()
    if backend != "torch":
        remedy = "Export the saved model with the environment variable KERAS_BACKEND=torch; it loads on every backend"
        return check.LensmithError(check.sentence("export to ONNX", "the torch backend", backend, remedy))
    # torch's exporter needs onnxscript, the proof ONNX Runtime.
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    return check.need_extra(missing[0], "ship") if missing else None


def export_network(model: Any, tasks: Sequence[str]) -> Any:
    """The network as an ``onnx.ModelProto``: float32 examples in, any number at once; one output a task.

    Args:
        model: what ``recipe.build()`` made; its layers are on the CPU.
        tasks: the order of the outputs.

    Raises:
        LensmithError: the backend in use cannot export, or a package is missing.
    """
    refusal = cannot_export()
    if refusal is not None:
        raise refusal
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
            opset_version=OPSET,
            verbose=False,
        )
    exported = program.model_proto
    _strip(exported)
    _keep_zeros_before_max_pools(exported.graph)
    return exported


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


def _strip(exported: Any) -> None:
    """Take out what the exporter noted for itself: it names files of this machine, and means nothing elsewhere."""
    graph = exported.graph
    for part in (exported, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
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
