"""A step of training, of measuring and of predicting on torch: what Keras' own steps do, without what they waste."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch

from lensmith.backend import graph, load

keras = load()

Step = Callable[[Any, Any], Mapping[str, Any]]

_forwards: WeakKeyDictionary[Any, graph.Forward] = WeakKeyDictionary()


def forward(model: Any) -> graph.Forward:
    """What :func:`lensmith.backend.graph.forward` makes, once for each model."""
    if model not in _forwards:
        _forwards[model] = graph.forward(model)
    return _forwards[model]


def steps(model: Any) -> tuple[Step, Step]:
    """The training step and the measuring step of a compiled model, as ``keras.Model.train_step`` makes them.

    Each is given a batch and returns the means of loss and metrics so far. Which weights are trained is looked up
    here, once.
    """
    run = graph.forward(model)
    weights = model.trainable_weights

    def measured(x: Any, y: Any, outputs: Any, *, training: bool) -> Any:
        loss = model._compute_loss(x=x, y=y, y_pred=outputs, sample_weight=None, training=training)
        model._loss_tracker.update_state(loss.detach(), sample_weight=x.shape[0])
        return loss

    def train(x: Any, y: Any) -> Mapping[str, Any]:
        if not model.training:  # switching visits every layer
            model.train()
        outputs = run(x, True)
        for weight in weights:
            weight.value.grad = None
        loss = model.optimizer.scale_loss(measured(x, y, outputs, training=True))
        loss.backward()
        with torch.no_grad():
            model.optimizer.apply([weight.value.grad for weight in weights], weights)
        return model.compute_metrics(x, y, outputs, None)  # type: ignore[no-any-return]

    def test(x: Any, y: Any) -> Mapping[str, Any]:
        if model.training:
            model.eval()
        with torch.no_grad():
            outputs = run(x, False)
            measured(x, y, outputs, training=False)
            return model.compute_metrics(x, y, outputs, None)  # type: ignore[no-any-return]

    return train, test


def predict(model: Any, x: Any) -> Any:
    """The outputs of a model for one batch as arrays, as ``model.predict_on_batch`` gives them."""
    with torch.inference_mode():
        outputs = forward(model)(x, False)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)
