"""The derivative of a number by an array, on every backend, compiled where the backend compiles.

What is looked into, painted or explained is a function of pixels or of feature maps, not of weights: the model is
called as when not training, and nothing of it changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lensmith.backend import load

keras = load()

Tensor = Any  # of the backend in use
Function = Callable[[Tensor], tuple[Tensor, Any]]
Differentiated = Callable[[Tensor], tuple[Tensor, Any, Tensor]]


def call(model: Any, x: Any) -> Any:
    """The outputs of a model as tensors that can be differentiated, in the fastest way that the backend in use has.

    Args:
        model: its layers are called as when not training.
        x: an array or tensor ``(batch, …)``, or several as the model takes them.

    Returns:
        Tensors in the structure of the model's outputs.
    """
    if keras.config.backend() != "torch" or not hasattr(x, "shape"):
        return model(keras.tree.map_structure(keras.ops.convert_to_tensor, x), training=False)
    from lensmith.backend import steps

    return steps.forward(model)(x, False)


def differentiated(function: Function, *models: Any) -> Differentiated:
    """A function that gives the value, what else was computed, and the derivative of the value.

    Args:
        function: of one float32 tensor, to a scalar tensor and any structure of further tensors; written with
            ``keras.ops`` and :func:`call`. What it does may depend on the shape of its input alone.
        models: those that it calls. On JAX their weights are then not built into what is compiled.

    Returns:
        A function of an array or tensor, giving the scalar, the further tensors, and a tensor of the input's shape:
        the derivative, 0 where the value does not depend on the input. None of them can be differentiated again.
        On JAX and TensorFlow it is compiled at its first call for each shape.
    """
    return _MAKERS[keras.config.backend()](function, models)


def _torch(function: Function, _: tuple[Any, ...]) -> Differentiated:
    import torch

    from lensmith.backend import frozen

    kernels: frozen.Kernels = {}  # let go of with the function

    def run(x: Any) -> tuple[Tensor, Any, Tensor]:
        x = keras.ops.convert_to_tensor(x, dtype="float32").detach().requires_grad_(True)
        with torch.enable_grad(), frozen.within(kernels):
            value, others = function(x)
            # Not `backward`, which would add to what the weights keep in `.grad`.
            found = torch.autograd.grad(value, x, allow_unused=True)[0] if value.requires_grad else None
        others = keras.tree.map_structure(lambda tensor: tensor.detach(), others)
        return value.detach(), others, torch.zeros_like(x) if found is None else found

    return run


def _tensorflow(function: Function, _: tuple[Any, ...]) -> Differentiated:
    import tensorflow

    def run(x: Tensor) -> tuple[Tensor, Any, Tensor]:
        with tensorflow.GradientTape() as tape:
            tape.watch(x)
            value, others = function(x)
        return value, others, tape.gradient(value, x, unconnected_gradients="zero")

    compiled = tensorflow.function(run)
    return lambda x: compiled(keras.ops.convert_to_tensor(x, dtype="float32"))


def _jax(function: Function, models: tuple[Any, ...]) -> Differentiated:
    import jax

    variables = list({id(one): one for model in models for one in model.variables}.values())

    def stateless(x: Tensor, values: list[Tensor]) -> tuple[Tensor, Any]:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(x)

    compiled = jax.jit(jax.value_and_grad(stateless, has_aux=True))

    def run(x: Any) -> tuple[Tensor, Any, Tensor]:
        x = keras.ops.convert_to_tensor(x, dtype="float32")
        (value, others), found = compiled(x, [variable.value for variable in variables])
        return value, others, found

    return run


_MAKERS: dict[str, Callable[[Function, tuple[Any, ...]], Differentiated]] = {
    "torch": _torch,
    "tensorflow": _tensorflow,
    "jax": _jax,
}
