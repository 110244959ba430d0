"""What a machine has, and what must be mended. Loads no room that needs Keras, since Keras may be what is ill."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from packaging.requirements import Requirement

from lensmith import backend, check


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong, and the one command that mends it."""

    message: str
    command: str


@dataclass(frozen=True, slots=True)
class Health:
    """What was found."""

    facts: dict[str, Any]
    versions: dict[str, str]
    troubles: tuple[Trouble, ...]

    def to_dict(self) -> dict[str, Any]:
        return {**self.facts, "versions": self.versions, "troubles": [asdict(one) for one in self.troubles]}


def examine() -> Health:
    """Look at the backend, the devices and the versions."""
    facts: dict[str, Any] = {"platform": platform.platform(), "cores": os.cpu_count() or 1}
    facts["installed"] = list(backend.installed())
    troubles = [*_wrong_versions(), *_missing_extras(), *_idle_config()]
    try:
        choice = backend.choose()
        facts |= {"backend": choice.name, "reason": choice.reason, "devices": list(backend.devices())}
        facts["threads"] = backend.threads()
    except check.LensmithError as error:
        named = os.environ.get("KERAS_BACKEND", "")
        installable = named if named in backend.BACKENDS else "torch"
        mend = "unset KERAS_BACKEND" if backend.installed() else f"pip install 'lensmith[{installable}]'"
        troubles.insert(0, Trouble(str(error), mend))
    except Exception as error:  # whatever an ill installation of Keras or of a backend raises when it is imported
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        again = f"pip install --force-reinstall keras {facts.get('backend', 'torch')}"
        troubles.insert(0, Trouble(f"Keras cannot be imported: {reason}", again))
    return Health(facts, backend.versions(), tuple(troubles))


def _wrong_versions() -> list[Trouble]:
    """Packages that are missing or older than Lensmith needs."""
    found = []
    try:
        lines = metadata.requires("lensmith") or ()
    except metadata.PackageNotFoundError:
        return [Trouble("lensmith itself is not installed, only found on the path", "pip install -e .")]
    for line in lines:
        need = Requirement(line)
        if need.marker and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            found.append(Trouble(f"{need.name} is not installed", f"pip install '{need}'"))
            continue
        if not need.specifier.contains(version, prereleases=True):
            found.append(Trouble(f"{need.name} is {version}; Lensmith needs {need.specifier}", f"pip install '{need}'"))
    return found


def _missing_extras() -> list[Trouble]:
    missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]
    if not missing:
        return []
    return [Trouble(f"shipping needs {', '.join(missing)}", "pip install 'lensmith[ship]'")]


def _idle_config() -> list[Trouble]:
    """A keras.json that names a backend which is not there: Lensmith passes it over, plain Keras fails on it."""
    named = backend.named_in_config()
    if not named or named in backend.installed():
        return []
    where = backend.config_path()
    return [Trouble(f"{where} names {named}, which is not installed; it is not obeyed", f"rm {where}")]
