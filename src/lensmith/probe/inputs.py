"""What enters a model: is it what the model takes?"""

from __future__ import annotations

from typing import Any

import numpy as np

from lensmith import check


def checked(model: Any, x: Any) -> Any:
    """Return ``x`` if it is a batch that the model takes; several inputs are left to the model.

    Raises:
        DataError: it is of another shape.
    """
    if len(model.inputs) != 1 or not hasattr(x, "shape"):
        return x
    expected, got = tuple(model.inputs[0].shape), tuple(x.shape)
    fits = len(expected) == len(got) and all(
        side in (None, other) for side, other in zip(expected[1:], got[1:], strict=True)
    )
    if not fits or not got[0]:
        remedy = "Give a batch of one: image[None]" if len(got) == len(expected) - 1 else ""
        raise check.DataError(check.sentence("x", f"shape {('batch', *expected[1:])}", got, remedy))
    return x


def entering(model: Any, x: np.ndarray) -> np.ndarray:
    """A batch of float32 as the model takes it; one example becomes a batch of one.

    Raises:
        DataError: the examples have another shape, or numbers that are not finite.
        SettingError: the model has several inputs.
    """
    if len(model.inputs) != 1:
        raise check.SettingError(check.sentence(model.name, "a model with one input", f"{len(model.inputs)}"))
    batch = np.asarray(x, np.float32)
    batch = checked(model, batch[None] if batch.ndim == len(model.inputs[0].shape) - 1 else batch)
    if not np.isfinite(batch).all():
        raise check.DataError(check.sentence("x", "finite numbers", "NaN or infinity"))
    found: np.ndarray = batch
    return found


def single(model: Any, x: np.ndarray) -> np.ndarray:
    """One example as a batch of one, as :func:`entering`.

    Raises:
        DataError: there are several, or as :func:`entering`.
    """
    batch = entering(model, x)
    if len(batch) != 1:
        raise check.DataError(check.sentence("x", "one example", f"{len(batch)}"))
    return batch
