"""Keras' optimizers, in the fastest form that the backend in use has.

On torch, Adam and AdamW update all weights in one call of torch's fused kernel, and every optimizer keeps its slots in
the same order in memory as the weights they belong to. Settings, slots, their names and what is saved are Keras', and
so are clipping, weight decay, averaging of weights, loss scaling and gradient accumulation.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from lensmith.backend import load

keras = load()


def fastest(plain: Any) -> Any:
    """The class to use for one of ``keras.optimizers``: on torch a subclass of it, elsewhere itself."""
    return _native(plain) if keras.config.backend() == "torch" else plain


@cache
def _native(plain: Any) -> Any:
    import torch

    adam = keras.optimizers.Adam

    class Native(type(plain())):  # type: ignore[misc]  # Keras makes a subclass of its own for torch
        __class__ = property(lambda self: plain)  # so that it is saved as Keras' own

        def add_variable_from_reference(self, reference_variable: Any, *args: Any, **kwargs: Any) -> Any:
            slot = super().add_variable_from_reference(reference_variable, *args, **kwargs)
            if slot._value is not None and reference_variable._value is not None:
                # empty_like keeps the strides, and the kernels go through memory in one line.
                slot._value.data = torch.empty_like(reference_variable._value).copy_(slot._value)
            return slot

        def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
            if not (issubclass(plain, adam) and _fused_adam(self, grads, trainable_variables, learning_rate)):
                super()._backend_update_step(grads, trainable_variables, learning_rate)

    Native.__name__, Native.__qualname__ = plain.__name__, plain.__qualname__
    return Native


def _fused_adam(optimizer: Any, grads: Any, variables: Any, rate: Any) -> bool:
    """Update all variables at once, as Keras' Adam does (Kingma & Ba 2015, the order of Section 2's last remark).

    Returns:
        False where a tensor is of a kind that torch's kernel does not take; then nothing was changed.
    """
    import torch

    if any(variable.value is not variable._value for variable in variables[:1]):  # in a scope that keeps the values
        return False
    indices = [optimizer._get_variable_index(variable) for variable in variables]
    values = [variable._value for variable in variables]
    slots = [[kind[i]._value for i in indices] for kind in (optimizer._momentums, optimizer._velocities)]
    largest = [optimizer._velocity_hats[i]._value for i in indices] if optimizer.amsgrad else []
    # The kernel goes through memory in one line, whatever the strides.
    for value, *others in zip(values, grads, *slots, *([largest] if largest else []), strict=True):
        if value.dtype != torch.float32 or any(
            other.dtype != value.dtype or other.device != value.device or other.stride() != value.stride()
            for other in others
        ):
            return False
    step = keras.ops.cast(optimizer.iterations + 1, "float32")
    # In float32 as Keras does it: 1 - 0.999 has four decimals there, and all of them are seen in the first steps.
    first, second = (torch.tensor(beta, device=step.device) ** step for beta in (optimizer.beta_1, optimizer.beta_2))
    corrected = keras.ops.cast(rate, "float32") * torch.sqrt(1 - second) / (1 - first)
    # The corrections are in the rate, as the paper's remark puts them; at this step torch's own are 1.
    never = torch.full((), 1e9, device=values[0].device)
    with torch.no_grad():
        torch._fused_adam_(
            values,
            list(grads),
            *slots,
            largest,
            [never] * len(values),
            lr=corrected,
            beta1=optimizer.beta_1,
            beta2=optimizer.beta_2,
            weight_decay=0.0,
            eps=optimizer.epsilon,
            amsgrad=optimizer.amsgrad,
            maximize=False,
        )
    return True
