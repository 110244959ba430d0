"""Lensmith: composable computer vision on Keras 3.

The rooms are loaded on first use, so that ``import lensmith`` costs nothing and the Keras backend is
chosen (see :mod:`lensmith.backend`) before Keras is imported.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.1.0"

_ROOMS = (
    "backend",
    "boxes",
    "check",
    "compose",
    "data",
    "detect",
    "doctor",
    "probe",
    "records",
    "runs",
    "ship",
    "stylize",
    "train",
)
__all__ = ["__version__", *_ROOMS]


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return importlib.import_module(f"lensmith.{name}")
    raise AttributeError(f"module 'lensmith' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
