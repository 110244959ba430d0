"""The rule by which a backend is chosen, and that importing Keras leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lensmith import backend, check

Setup = Callable[..., Path]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Setup:
    """A machine of our making: what is installed, what the environment says, what keras.json holds."""

    def make(installed: tuple[str, ...], variable: str | None = None, config: str | None = None) -> Path:
        monkeypatch.delitem(sys.modules, "keras", raising=False)
        monkeypatch.setattr(backend, "installed", lambda: installed)
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        monkeypatch.delenv("KERAS_BACKEND", raising=False)
        if variable is not None:
            monkeypatch.setenv("KERAS_BACKEND", variable)
        if config is not None:
            (tmp_path / "keras.json").write_text(config)
        return tmp_path / "keras.json"

    return make


ALL = backend.BACKENDS
BY_KERAS = '{"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow", "image_data_format": "channels_last"}'
BY_HAND = '{"backend": "tensorflow"}'


@pytest.mark.parametrize(
    ("installed", "variable", "config", "name", "reason"),
    [
        # nobody chose: the first that is there, in the order of preference
        (ALL, None, None, "torch", "the first installed"),
        (("jax", "tensorflow"), None, None, "jax", "the first installed"),
        (("tensorflow",), None, None, "tensorflow", "the first installed"),
        # the environment wins, over the file too
        (ALL, "jax", None, "jax", "KERAS_BACKEND names it"),
        (ALL, "jax", BY_HAND, "jax", "KERAS_BACKEND names it"),
        # an empty variable is none
        (ALL, "", None, "torch", "the first installed"),
        # the file the user wrote
        (ALL, None, BY_HAND, "tensorflow", "keras.json names it"),
        (ALL, None, BY_KERAS.replace("tensorflow", "jax"), "jax", "keras.json names it"),
        # the file Keras wrote by itself is nobody's choice, however it is laid out
        (ALL, None, BY_KERAS, "torch", "the first installed"),
        (ALL, None, json.dumps(json.loads(BY_KERAS), indent=4), "torch", "the first installed"),
        # the same with one thing changed is somebody's
        (ALL, None, BY_KERAS.replace("float32", "float16"), "tensorflow", "keras.json names it"),
        # what the file names is not installed, or is nothing Lensmith knows
        (("torch", "jax"), None, BY_HAND, "torch", "the first installed"),
        (ALL, None, '{"backend": "theano"}', "torch", "the first installed"),
        # a file that says nothing or is broken
        (ALL, None, '{"floatx": "float16"}', "torch", "the first installed"),
        (ALL, None, '{"backend": ["jax"]}', "torch", "the first installed"),
        (ALL, None, '["jax"]', "torch", "the first installed"),
        (ALL, None, '{"backend": "ja', "torch", "the first installed"),
    ],
)
def test_the_rule(
    machine: Setup, installed: tuple[str, ...], variable: str | None, config: str | None, name: str, reason: str
) -> None:
    machine(installed, variable, config)
    choice = backend.choose()
    assert choice.name == name
    assert reason in choice.reason


def test_a_config_that_is_not_text_is_passed_over(machine: Setup) -> None:
    machine(ALL).write_bytes(b"\xff\xfe\x00")
    assert backend.choose().name == "torch"


def test_choosing_changes_nothing(machine: Setup) -> None:
    path = machine(ALL)
    backend.choose()
    assert "keras" not in sys.modules
    assert "KERAS_BACKEND" not in os.environ
    assert not path.exists()


def test_the_environment_names_what_is_not_installed(machine: Setup) -> None:
    machine(("torch",), "jax")
    with pytest.raises(check.SettingError, match=r"KERAS_BACKEND names jax, which is not installed.*lensmith\[jax\]"):
        backend.choose()


def test_the_environment_names_what_does_not_exist(machine: Setup) -> None:
    machine(ALL, "pytorch")
    with pytest.raises(check.SettingError, match=r"KERAS_BACKEND: .*got 'pytorch'\. Did you mean 'torch'"):
        backend.choose()


def test_nothing_is_installed(machine: Setup) -> None:
    machine(())
    with pytest.raises(check.LensmithError, match=r"no Keras backend is installed\. .*lensmith\[torch\]"):
        backend.choose()


def test_where_keras_looks_for_its_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", "~/settings")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert backend.config_path() == tmp_path / "settings" / "keras.json"
    monkeypatch.delenv("KERAS_HOME")
    assert backend.config_path() == tmp_path / ".keras" / "keras.json"


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match=r"'lensmith\.backend' has no attribute 'kears'"):
        backend.kears  # noqa: B018


def test_what_runs_here_can_be_told() -> None:
    name = backend.keras.config.backend()
    assert backend.choose().name == name
    assert name in backend.installed()
    assert len(backend.devices()) >= 1
    versions = backend.versions()
    assert {"python", "lensmith", "keras", "numpy", name} <= set(versions)
    assert all(versions.values())


def test_threads_can_be_read_and_set() -> None:
    before = backend.threads()
    if before is None:
        pytest.skip("only torch lets its number of threads be changed")
    backend.set_threads(1)
    try:
        assert backend.threads() == 1
        backend.set_threads(None)  # nothing asked, nothing changed
        assert backend.threads() == 1
    finally:
        backend.set_threads(before)


def python(code: str, home: Path) -> str:
    """Run code in a new interpreter whose user has this home and set nothing; return what it printed."""
    mine = {key: value for key, value in os.environ.items() if not key.startswith("KERAS")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**mine, "HOME": str(home)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SHOW = "from lensmith import backend; c = backend.choose(); k = backend.keras; print(c.name, k.config.backend())"


def test_keras_leaves_no_config_behind(tmp_path: Path) -> None:
    chosen, running = python(SHOW, tmp_path).split()
    assert chosen == running == backend.installed()[0]
    assert not (tmp_path / ".keras").exists()


def test_the_config_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    config = tmp_path / ".keras" / "keras.json"
    config.parent.mkdir()
    config.write_text(BY_KERAS + "\n\n")  # what Keras wrote by itself, with two lines of its owner's
    python(SHOW, tmp_path)
    assert config.read_bytes() == (BY_KERAS + "\n\n").encode()


def test_the_folder_of_another_program_stays(tmp_path: Path) -> None:
    """Keras keeps downloads in the same folder: only its configuration is taken away."""
    kept = tmp_path / ".keras" / "models" / "mine.h5"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"weights")
    python(SHOW, tmp_path)
    assert [path for path in (tmp_path / ".keras").rglob("*") if path.is_file()] == [kept]


def test_the_door_imports_neither_keras_nor_numpy(tmp_path: Path) -> None:
    code = "import sys, lensmith; print([n for n in ('keras', 'numpy', 'torch', 'cv2', 'grain') if n in sys.modules])"
    assert python(code, tmp_path) == "[]"
