"""What a stage leaves as it is: the layers that its patterns name, the heads of the tasks it does not train, and batch
normalisation where it is to stay."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from lensmith import check, trainable
from lensmith.backend import keras
from lensmith.train.stages import Fit
from lensmith.trainable import Place


@contextlib.contextmanager
def frozen(model: Any, stage: Fit) -> Iterator[None]:
    """Freeze what the stage does not train, for as long as it lasts.

    Frozen layers get no gradient, and their batch normalisation stays in inference mode.

    Raises:
        SettingError: a pattern of ``stage.freeze`` names no layer with weights, a task of ``stage.tasks`` is no
            output of the model, or nothing is left that trains.
    """
    still = [*trainable.chosen("freeze", model, stage.freeze), *_of_other_tasks(model, stage.tasks)]
    still += _norms(model) if stage.hold_norms else []
    with trainable.held(model, still):
        if still and not model.trainable_variables:
            expected = "layers with weights that still train"
            raise check.SettingError(check.sentence("freeze", expected, "all of them frozen", "Freeze fewer"))
        yield


def _norms(model: Any) -> list[Place]:
    """Every batch normalisation of a model, also inside of layers that are made of others."""
    kind = keras.layers.BatchNormalization
    return [Place(layer.name, layer, ()) for layer in model._flatten_layers() if isinstance(layer, kind)]


def _of_other_tasks(model: Any, tasks: Sequence[str] | None) -> list[Place]:
    """The layers that none of these tasks' outputs are computed from."""
    if tasks is None or not isinstance(model.output, dict):
        return []
    outputs = [model.output[check.one_of("tasks", task, model.output)] for task in tasks]
    used = {id(place.layer) for place in trainable.places(keras.Model(model.input, outputs))}
    return [place for place in trainable.places(model) if id(place.layer) not in used]
