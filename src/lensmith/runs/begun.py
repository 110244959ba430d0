"""What a run was begun with, and whether it is so still: its spec, the user's own code, and the machine."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from lensmith import backend, check
from lensmith.runs import custom, lines
from lensmith.runs.aims import ANYWHERE
from lensmith.runs.folder import RunFolder, read_json, write_text
from lensmith.runs.spec import Spec, changes, read_run_spec
from lensmith.runs.stage_specs import code_of

_log = logging.getLogger(__name__)


def begun(folder: RunFolder) -> tuple[Spec, dict[str, Any]]:
    """The spec of a run, if nobody changed it, and its ``data.json``.

    The spec of a run that was killed before it had grown with its data is as it has to be; see :func:`mend`.

    Raises:
        SettingError: a setting was changed since the run began, or the spec cannot be read.
        DataError: the other file cannot be read.
    """
    spec = read_run_spec(folder.spec)
    noted: dict[str, Any] = read_json(folder.data)
    if "grown_from" in noted and not changes(_whole(folder, noted["grown_from"]), spec.model_dump(mode="json")):
        return Spec.model_validate(noted["spec"]), noted
    if changed := changes(_whole(folder, noted["spec"]), spec.model_dump(mode="json")):
        remedy = "Put it back, or begin a new run"
        raise check.SettingError(f"{folder.spec}: {changed} was changed since the run began. {remedy}")
    return spec, noted


def mend(folder: RunFolder, spec: Spec) -> None:
    """Write the spec of a run that was killed before its spec had grown with its data."""
    if read_run_spec(folder.spec).model_dump(mode="json") != spec.model_dump(mode="json"):
        write_text(folder.spec, spec.to_yaml())


def _whole(folder: RunFolder, values: Any) -> Any:
    """A noted spec with the settings, at their defaults, that were not yet known when it was written."""
    try:
        return Spec.model_validate(values).model_dump(mode="json")
    except ValidationError as error:
        place = lines.dotted(error.errors()[0]["loc"])
        remedy = "Begin a new run"
        raise check.SettingError(f"{folder.data}: spec.{place} is none that this version knows. {remedy}") from None


def refuse_old_checkpoints(folder: RunFolder, noted: Mapping[str, Any]) -> None:
    """Refuse to go on with the training of a run that an earlier version began, whose checkpoints hold less.

    Raises:
        SettingError: it is such a run.
    """
    if "code" not in noted and not folder.stages.is_dir():
        expected, got = "a run that keeps what its stages came to", "one of an earlier version"
        remedy = f"Begin anew, from its weights with --from {folder.path}"
        raise check.SettingError(check.sentence(str(folder.path), expected, got, remedy))


def code_hashes(spec: Spec) -> dict[str, str]:
    """What identifies each piece of the user's own code that a plan names: nothing else in a run can change unseen."""
    named = dict.fromkeys(name for stage in spec.train for name in code_of(stage))
    return {name: custom.fingerprint(name, ANYWHERE) for name in named}


def refuse_other_code(then: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse code that is not what the run was begun with.

    Raises:
        SettingError: names the piece.
    """
    for name, found in now.items():
        if then.get(name, found) != found:
            remedy = "Put the file back as it was, or begin a new run"
            raise check.SettingError(f"{name}: the code was changed since the run began. {remedy}")


def environment() -> dict[str, Any]:
    """What a run's numbers depend on besides its spec."""
    choice = backend.choose()
    return {
        "backend": choice.name,
        "reason": choice.reason,
        "versions": backend.versions(),
        "devices": list(backend.devices()),
        "threads": backend.threads(),
        "platform": platform.platform(),
    }


def warn_of_changes(folder: RunFolder) -> None:
    """Say aloud what of the machine is not as the run began with."""
    before, now = read_json(folder.environment), environment()
    for name in ("versions", "devices", "platform"):
        if before.get(name) != now[name]:
            _log.warning("%s are not what the run began with: it may not end with the same bits", name)
