"""The gradient of a batch's loss by weight, on every backend, without changing a bit of the model.

The network is called as when not training, inside a ``keras.StatelessScope``: whatever would be assigned to a variable
(the counters of metrics, a seed) is caught there and forgotten.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from lensmith.backend import load

keras = load()

Tensor = Any  # of the backend in use
Computed = tuple[Tensor, Mapping[str, Tensor], list[Tensor | None]]


@dataclass(frozen=True, slots=True)
class Gradients:
    """What one batch says.

    Args:
        loss: the whole loss of the batch, penalties on weights included.
        losses: its parts by what Keras calls them, where there are several outputs; else the one without penalties,
            under ``loss``.
        norms: the Euclidean norm of the gradient by trainable weight, in the order of ``model.trainable_weights``;
            None for a weight that the loss does not depend on; on JAX 0.
    """

    loss: float
    losses: Mapping[str, float]
    norms: tuple[float | None, ...]


def gradients(model: Any, x: Any, y: Any) -> Gradients:
    """The loss of one batch and the norm of its gradient by trainable weight.

    Args:
        model: a compiled ``keras.Model`` that has seen a batch.
        x: the batch.
        y: its targets.
    """
    x, y = keras.tree.map_structure(keras.ops.convert_to_tensor, (x, y))
    loss, losses, found = _COMPUTE[keras.config.backend()](model, x, y)
    norms = tuple(None if gradient is None else norm(gradient) for gradient in found)
    return Gradients(_float(loss), {name: _float(value) for name, value in losses.items()}, norms)


def norm(values: Tensor) -> float:
    """The Euclidean norm of an array of any shape; scaled, so that squares of large numbers do not overflow."""
    ops = keras.ops
    values = ops.cast(ops.convert_to_tensor(values), "float32")
    largest = _float(ops.max(ops.abs(values))) if 0 not in values.shape else 0.0
    if not 0 < largest < float("inf"):
        return largest
    return largest * _float(ops.sqrt(ops.sum(ops.square(values / largest))))


def _float(value: Tensor) -> float:
    return float(keras.ops.convert_to_numpy(keras.ops.stop_gradient(keras.ops.cast(value, "float32"))))


def _losses(model: Any, x: Tensor, y: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """The whole loss and its parts; to be called in a scope that catches what this assigns."""
    parts = model._compile_loss.metrics
    for part in parts:
        part.reset_state()
    loss = model._compute_loss(x=x, y=y, y_pred=model(x, training=False), sample_weight=None, training=False)
    if parts:
        return loss, {part.name: part.result() for part in parts}
    return loss, {"loss": loss - sum(model.losses)}


def _scope(model: Any, weights: Iterable[Tensor], others: Iterable[tuple[Any, Tensor]] = ()) -> Any:
    """Catches what would be assigned; penalties are worked out from the weights that it is told."""
    mapping = [*zip(model.trainable_weights, weights, strict=True), *others]
    return keras.StatelessScope(state_mapping=mapping, collect_losses=True)


def _torch(model: Any, x: Tensor, y: Any) -> Computed:
    import torch

    weights = [weight.value for weight in model.trainable_weights]
    with _scope(model, weights):
        loss, losses = _losses(model, x, y)
    # Not `backward`, which would add to what the weights keep in `.grad`.
    found = torch.autograd.grad(loss, weights, allow_unused=True) if weights and loss.requires_grad else ()
    return loss, losses, list(found) or [None] * len(weights)


def _tensorflow(model: Any, x: Tensor, y: Any) -> Computed:
    import tensorflow

    weights = [weight.value for weight in model.trainable_weights]
    with tensorflow.GradientTape() as tape, _scope(model, weights):
        loss, losses = _losses(model, x, y)
    return loss, losses, list(tape.gradient(loss, weights))


def _jax(model: Any, x: Tensor, y: Any) -> Computed:
    trained = [weight.value for weight in model.trainable_weights]
    others = [weight.value for weight in model.non_trainable_variables]
    (loss, losses), found = _compiled_jax(model)(trained, others, x, y)
    return loss, losses, found


# Tracing on JAX costs as much as its first training step, so it is done once for each compilation of a model.
_functions: WeakKeyDictionary[Any, tuple[tuple[int, ...], Callable[..., Any]]] = WeakKeyDictionary()


def _compiled_jax(model: Any) -> Callable[..., Any]:
    import jax

    key = (id(model._compile_loss), *map(id, model.trainable_weights))
    if model not in _functions or _functions[model][0] != key:
        whole = weakref.ref(model)  # whoever keeps this function must not keep the model alive by it

        def losses(trained: list[Tensor], others: list[Tensor], x: Tensor, y: Any) -> Any:
            owner: Any = whole()
            with _scope(owner, trained, zip(owner.non_trainable_variables, others, strict=True)):
                return _losses(owner, x, y)

        _functions[model] = key, jax.jit(jax.value_and_grad(losses, has_aux=True))
    return _functions[model][1]


_COMPUTE: dict[str, Callable[[Any, Tensor, Any], Computed]] = {
    "torch": _torch,
    "tensorflow": _tensorflow,
    "jax": _jax,
}
