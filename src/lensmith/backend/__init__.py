"""The Keras backend: which one, chosen before Keras is imported, and on what devices it runs.

Every module that needs Keras takes it from here, so that the choice is made exactly once:

    from lensmith.backend import keras

The rule: ``KERAS_BACKEND`` in the environment; else the backend that the user's ``keras.json`` names,
if it is installed; else torch, jax or tensorflow, the first that is installed. A ``keras.json`` that
is word for word what Keras writes by itself on its first import is nobody's choice and is not obeyed.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lensmith import check

BACKENDS = ("torch", "jax", "tensorflow")
_WRITTEN_BY_KERAS = {
    "floatx": "float32",
    "epsilon": 1e-07,
    "backend": "tensorflow",
    "image_data_format": "channels_last",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend and the reason it was chosen."""

    name: str
    reason: str


_loaded: dict[str, Choice] = {}  # the choice that Keras was imported with; Keras can be imported only once


def installed() -> tuple[str, ...]:
    """The backends that can be imported here, in the order of preference; none is imported."""
    return tuple(name for name in BACKENDS if importlib.util.find_spec(name) is not None)


def choose() -> Choice:
    """Decide on a backend by the rule above; imports nothing and changes nothing.

    Raises:
        SettingError: the environment names a backend that does not exist or is not installed.
        LensmithError: no backend is installed.
    """
    if "keras" in sys.modules:
        name = sys.modules["keras"].config.backend()
        return _loaded.get(name) or Choice(name, "Keras was imported before Lensmith, and runs on it")
    here = installed()
    wanted = os.environ.get("KERAS_BACKEND")
    if wanted:
        check.one_of("KERAS_BACKEND", wanted, BACKENDS)
        if wanted not in here:
            raise check.SettingError(f"KERAS_BACKEND names {wanted}, which is not installed. {_remedy(wanted)}")
        return Choice(wanted, "KERAS_BACKEND names it")
    named = named_in_config()
    if named in here:
        return Choice(named, f"{config_path()} names it")
    if not here:
        raise check.LensmithError(f"no Keras backend is installed. {_remedy('torch')}")
    return Choice(here[0], f"the first installed of {', '.join(BACKENDS)}")


def _remedy(name: str) -> str:
    return f"Install it: pip install 'lensmith[{name}]'"


def config_path() -> Path:
    """Where Keras looks for its ``keras.json``, by Keras' own rule."""
    if "KERAS_HOME" in os.environ:
        return Path(os.environ["KERAS_HOME"]).expanduser() / "keras.json"
    home = Path.home()
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras" / "keras.json"


def named_in_config() -> str:
    """The backend that the user's ``keras.json`` names; empty where there is none or nobody chose it."""
    try:
        config = json.loads(config_path().read_text())
    except (OSError, ValueError):
        return ""
    if not isinstance(config, dict) or config == _WRITTEN_BY_KERAS:
        return ""
    return str(config.get("backend", ""))


@contextlib.contextmanager
def _no_config_left_behind() -> Iterator[None]:
    """Take away the ``keras.json`` (and its folder) that Keras writes on its first import."""
    path = config_path()
    had_file, had_folder = path.exists(), path.parent.exists()
    try:
        yield
    finally:
        if not had_file:
            path.unlink(missing_ok=True)
        if not had_folder and path.parent.exists():
            with contextlib.suppress(OSError):  # another program put something there meanwhile
                path.parent.rmdir()


def load() -> Any:
    """Import Keras on the chosen backend and return the module."""
    if "keras" not in sys.modules:
        choice = choose()
        _loaded[choice.name] = choice
        os.environ["KERAS_BACKEND"] = choice.name
        with _no_config_left_behind():
            importlib.import_module("keras")
    return sys.modules["keras"]


def __getattr__(name: str) -> Any:
    if name == "keras":
        return load()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def predict(model: Any, x: Any) -> Any:
    """The outputs of a Keras model for one batch as arrays, in the fastest way that the backend in use has.

    Args:
        model: its layers are called as when not training.
        x: an array ``(batch, …)``.

    Returns:
        What ``model.predict_on_batch(x)`` gives: an array, or several in the structure of the model's outputs.
    """
    if load().config.backend() != "torch":
        return model.predict_on_batch(x)
    from lensmith.backend import steps

    return steps.predict(model, x)


def devices() -> tuple[str, ...]:
    """The devices the chosen backend can compute on, such as ``cpu`` or ``cuda:0 NVIDIA H200``."""
    name = load().config.backend()
    if name == "torch":
        import torch

        cards = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
        return ("cpu", *cards, *(["mps"] if torch.backends.mps.is_available() else []))
    if name == "jax":
        import jax

        return tuple(f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices())
    import tensorflow

    return tuple(device.name for device in tensorflow.config.list_logical_devices())


def threads() -> int | None:
    """How many CPU threads one operation uses: part of what makes a run repeatable (torch only)."""
    if load().config.backend() != "torch":
        return None
    import torch

    return int(torch.get_num_threads())


def set_threads(count: int | None) -> None:
    """Use this many CPU threads an operation, where the backend lets it be changed (torch)."""
    if count is not None and load().config.backend() == "torch":
        import torch

        torch.set_num_threads(count)


def versions() -> dict[str, str]:
    """The versions that decide what a run computes, by distribution; absent ones are left out."""
    from importlib import metadata

    names = ("lensmith", "keras", *BACKENDS, "numpy", "grain", "opencv-python-headless", "pillow", "onnxruntime")
    found = {"python": platform.python_version()}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
