"""Out of memory: which batch size was too large, and which one fits, found by trying."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lensmith import check
from lensmith.train.batch import first_of, size_of
from lensmith.train.state import arrays_of, put, variables_of

# How the backends say it: torch on the CPU and on CUDA, XLA and TensorFlow.
_NAMES = frozenset({"OutOfMemoryError", "ResourceExhaustedError"})
_WORDS = ("can't allocate memory", "DefaultCPUAllocator", "out of memory", "RESOURCE_EXHAUSTED", "OutOfMemory")

_KEPT = ("variables", "optimizer")  # and not the metrics, which the first step of all makes


def out_of_memory(error: BaseException | None, beyond: BaseException | None = None) -> bool:
    """Whether an error, or one that it came from, says that memory did not suffice; ``beyond`` ends the search.

    >>> out_of_memory(MemoryError()), out_of_memory(RuntimeError("CUDA out of memory")), out_of_memory(ValueError("no"))
    (True, True, False)
    """
    while error is not None and error is not beyond:
        names = {kind.__name__ for kind in type(error).__mro__}
        said = isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)
        if isinstance(error, MemoryError) or names & _NAMES or said:
            return True
        error = error.__cause__ or error.__context__
    return False


def refusal(
    error: Exception, model: Any, step: Callable[[Any, Any], Any], x: Any, y: Any, place: str, last_good: str
) -> check.LensmithError:
    """The error to raise for a step that ran out of memory with another.

    Halves of the very batch are tried on the very model until one passes; the model is as before then.

    Args:
        error: what it ended with.
        model: the compiled model.
        step: makes a step with a batch.
        x, y: the batch that was too large.
        place: which step it was.
        last_good: a sentence that says where the last checkpoint is.
    """
    size = size_of(x)
    fits, tried = _largest(error, model, step, x, y)
    got = f"too little memory for a batch of {size}"
    if fits is None:
        remedy = f"Tried {tried}: none fits. Take smaller images or a smaller network" if tried else ""
    else:
        remedy = f"Tried {tried}: {fits} fits. Set batch: {fits}, and begin in another folder"
    return check.LensmithError(
        f"{check.sentence(place, 'enough memory for a step', got)}. {last_good}. {remedy}".strip()
    )


def _largest(first: Exception, model: Any, step: Callable[[Any, Any], Any], x: Any, y: Any) -> tuple[int | None, str]:
    """The first half of a half of the batch that passes, and a list of what was tried."""
    size, tried = size_of(x) // 2, []
    try:
        before = {group: arrays_of(variables_of(model)[group]) for group in _KEPT}
    except MemoryError:
        return None, ""
    found = None
    while size >= 1 and found is None:
        tried.append(str(size))
        try:
            step(first_of(x, size), first_of(y, size))
            found = size
        except Exception as error:
            if not out_of_memory(error, beyond=first):
                break
            size //= 2
        finally:
            for group, arrays in before.items():
                put(variables_of(model)[group], arrays, group)
    return found, ", ".join(tried)
