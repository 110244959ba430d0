"""A user's own losses, metrics and callbacks: code in a file, named in a spec as ``mine.py:f_score``.

Such code is run only to train from a spec that names it. Nothing that is opened runs any: no model, run, report or
artifact knows more of it than its name.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from lensmith import check
from lensmith.backend import keras


def is_reference(text: str) -> bool:
    """Whether a name in a spec means code in a file.

    >>> is_reference("mine.py:f_score"), is_reference("accuracy")
    (True, False)
    """
    return ".py:" in text or text.endswith(".py")


def load(reference: str, folder: Path) -> Any:
    """What a file of the user's calls so. This runs the file, once for as long as it stays the same.

    Args:
        reference: the file and the name in it, as in ``mine.py:f_score``.
        folder: where a relative path begins, the folder of the spec.

    Raises:
        SettingError: there is no such file or name in it, or the file cannot be run; names the file's line.
    """
    path, name = _parts(reference, folder)
    module = _module(path)
    if not hasattr(module, name):
        # Nearest first to what the file itself defines, not to what it imports.
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        known = [key for key in vars(module) if not key.startswith("_")]
        remedy = check.nearest(name, own) or check.nearest(name, known)
        expected = f"one of {', '.join(own)}" if own else "something defined"
        raise check.SettingError(check.sentence(str(path), expected, repr(name), remedy))
    return getattr(module, name)


def fingerprint(reference: str, folder: Path) -> str:
    """SHA-256 of the file that a reference names, in hexadecimal; it is not run.

    What the file imports is not part of it.

    Raises:
        SettingError: there is no such file.
    """
    return hashlib.sha256(_source(_parts(reference, folder)[0])).hexdigest()


def placed(reference: str, folder: Path) -> str:
    """The reference with its path written out from the root, so that it means the same from any folder."""
    path, name = _parts(reference, folder)
    return f"{path}:{name}"


def as_loss(value: Any, reference: str) -> Any:
    """The value as a loss: a ``keras.losses.Loss`` or a function of ``(y_true, y_pred)``.

    Args:
        value: what :func:`load` gave; of a class, an object is made.
        reference: how to call it in messages.

    Raises:
        SettingError: it is neither.
    """
    return _as(value, reference, keras.losses.Loss, "keras.losses.Loss", ("y_true", "y_pred"))


def as_metric(value: Any, reference: str) -> Any:
    """The value as a metric: a ``keras.metrics.Metric`` or a function of ``(y_true, y_pred)``; see :func:`as_loss`."""
    return _as(value, reference, keras.metrics.Metric, "keras.metrics.Metric", ("y_true", "y_pred"))


def as_callback(value: Any, reference: str) -> Any:
    """The value as a callback: a ``keras.callbacks.Callback`` or a function of ``(epoch, row, model)``.

    See :func:`as_loss`.
    """
    return _as(value, reference, keras.callbacks.Callback, "keras.callbacks.Callback", ("epoch", "row", "model"))


def _parts(reference: str, folder: Path) -> tuple[Path, str]:
    path, _, name = reference.rpartition(":")
    if not path.endswith(".py") or not name.isidentifier():
        expected = "a file and a name in it, as in 'mine.py:f_score'"
        raise check.SettingError(check.sentence("reference", expected, repr(reference)))
    return (folder / Path(path).expanduser()).resolve(), name


def _source(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        got = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
        raise check.SettingError(check.sentence(str(path), "a file of Python code", got)) from None


def _module(path: Path) -> ModuleType:
    """The file as a module of a name of its own, which nothing else can import by accident."""
    source = _source(path)
    name = f"lensmith_custom_{hashlib.sha256(str(path).encode() + b':' + source).hexdigest()[:24]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise check.SettingError(check.sentence(str(path), "a file of Python code", "one that cannot be imported"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up there
    try:
        # Not by the spec's loader: it would leave a __pycache__ beside the user's file, and trust its time stamp.
        exec(compile(source, str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise check.SettingError(_fault(error, path)) from error
    return module


def _fault(error: BaseException, path: Path) -> str:
    """What went wrong in a file, and in which of its lines."""
    reason = " ".join(str(error).split())[:300]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}, line {error.lineno or 1}: not Python: {error.msg}"
    if isinstance(error, SyntaxError | ValueError) and not _lines(error, path):  # of bytes that are no text
        return f"{path}: not Python: {reason}"
    line = (_lines(error, path) or [1])[-1]
    return f"{path}, line {line}: {type(error).__name__}{f': {reason}' if reason else ''}"


def _lines(error: BaseException, path: Path) -> list[int]:
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.lineno for frame in frames if frame.filename == str(path) and frame.lineno]


def _as(value: Any, reference: str, kind: Any, kind_name: str, arguments: tuple[str, ...]) -> Any:
    expected = f"a function of ({', '.join(arguments)}) or a {kind_name}"
    if inspect.isclass(value):
        if not issubclass(value, kind):
            raise check.SettingError(check.sentence(reference, expected, f"the class {value.__name__}"))
        return _object(value, reference)
    if isinstance(value, kind):
        return value
    if not callable(value) or isinstance(value, _keras_kinds()):
        raise check.SettingError(check.sentence(reference, expected, f"{type(value).__name__} {value!r}"[:80]))
    if not _takes(value, len(arguments)):
        got = f"a function of {inspect.signature(value)}"
        raise check.SettingError(check.sentence(reference, expected, got))
    return value


def _object(kind: Any, reference: str) -> Any:
    """An object of a class that needs no arguments."""
    needed = [
        parameter.name
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        remedy = f"Give them defaults, or make an object in the file and name that: mine = {kind.__name__}(…)"
        expected = "a class without arguments that must be given"
        raise check.SettingError(check.sentence(reference, expected, ", ".join(needed), remedy))
    try:
        return kind()
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise check.SettingError(f"{reference}: {kind.__name__}(): {type(error).__name__}: {reason}") from error


def _keras_kinds() -> tuple[Any, ...]:
    """What can be called and yet is no function: a metric where a loss is wanted, a layer."""
    return (keras.losses.Loss, keras.metrics.Metric, keras.callbacks.Callback, keras.layers.Layer)


def _takes(function: Any, count: int) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a built-in, which does not tell
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True
