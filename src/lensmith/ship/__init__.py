"""Ship: a trained model leaves the notebook, as a folder, as one proven ONNX file, as predictions with names."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lensmith.ship.artifact import Artifact, open_artifact
from lensmith.ship.predictions import Found, Prediction, Scored, predict
from lensmith.ship.proof import Proof, ProofError, prove

if TYPE_CHECKING:
    from lensmith.ship.joining import amalgamate, chain
    from lensmith.ship.network import cannot_export
    from lensmith.ship.onnx import export
    from lensmith.ship.published import pretrained
    from lensmith.ship.saved import Saved, load, save, save_keras

# These need Keras, which takes seconds to import; running an artifact does not, so they are loaded on first use.
_WITH_KERAS = {
    "Saved": "saved",
    "amalgamate": "joining",
    "chain": "joining",
    "cannot_export": "network",
    "export": "onnx",
    "pretrained": "published",
    "load": "saved",
    "save": "saved",
    "save_keras": "saved",
}

__all__ = [
    "Artifact",
    "Found",
    "Prediction",
    "Proof",
    "ProofError",
    "Saved",
    "Scored",
    "amalgamate",
    "cannot_export",
    "chain",
    "export",
    "load",
    "open_artifact",
    "predict",
    "pretrained",
    "prove",
    "save",
    "save_keras",
]


def __getattr__(name: str) -> Any:
    if name in _WITH_KERAS:
        return getattr(importlib.import_module(f"lensmith.ship.{_WITH_KERAS[name]}"), name)
    raise AttributeError(f"module 'lensmith.ship' has no attribute {name!r}; it has {', '.join(__all__)}")
