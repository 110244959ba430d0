"""Code of the user's own: read from a file, told apart by kind, refused with the file's line; never run by opening."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lensmith import check, compose, data, ship
from lensmith.backend import keras
from lensmith.records import Labels
from lensmith.runs import custom
from lensmith.train import Objective
from lensmith.train.objective import loss_of

MINE = """\
import keras
from dataclasses import dataclass

@dataclass
class Margin:
    by: float = 0.5

def f_score(y_true, y_pred, beta=1.0):
    return keras.ops.mean(y_pred, axis=-1) * Margin().by

def after(epoch, row, model):
    return None

class Far(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)

class Count(keras.metrics.Sum):
    pass

class Logger(keras.callbacks.Callback):
    def __init__(self, every=1):
        super().__init__()
        self.every = every

class Needy(keras.losses.Loss):
    def __init__(self, margin, other):
        super().__init__()

class Broken(keras.losses.Loss):
    def __init__(self):
        raise RuntimeError("no\\nsuch luck")

far = Far()
number = 7
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def refusal(make: Callable[[], object]) -> str:
    with pytest.raises(check.SettingError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_the_file_defines_is_given(folder: Path) -> None:
    path, before = list(sys.path), set(sys.modules)
    function = custom.load("mine.py:f_score", folder)
    assert keras.ops.convert_to_numpy(function(None, np.ones((2, 3), "float32"))) == pytest.approx([0.5, 0.5])
    assert custom.load("mine.py:number", folder) == 7
    assert sys.path == path
    [name] = set(sys.modules) - before
    assert name.startswith("lensmith_custom_") and custom.load("mine.py:far", folder).__module__ == name
    assert sorted(one.name for one in folder.iterdir()) == ["mine.py"], "no __pycache__ beside the user's file"


def test_a_file_is_run_once_until_it_changes(folder: Path) -> None:
    (folder / "told.py").write_text("from pathlib import Path\nimport sys\nruns = []\nruns.append(1)\n")
    first = custom.load("told.py:runs", folder)
    assert custom.load("./told.py:runs", folder) is first
    assert custom.load(custom.placed("told.py:runs", folder), Path("/")) is first
    (folder / "told.py").write_text("runs = [2]\n")
    assert custom.load("told.py:runs", folder) == [2]


def test_the_same_code_in_two_places_is_two_modules(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "mine.py").write_text(MINE)
    assert custom.load("deep/mine.py:Far", folder) is not custom.load("mine.py:Far", folder)
    assert custom.load("mine.py:Far", folder / "deep") is custom.load("deep/mine.py:Far", folder)


def test_the_fingerprint_is_of_the_bytes_and_runs_nothing(folder: Path) -> None:
    (folder / "bad.py").write_text("raise SystemExit\n")
    assert custom.fingerprint("bad.py:x", folder) == hashlib.sha256(b"raise SystemExit\n").hexdigest()
    before = custom.fingerprint("mine.py:f_score", folder)
    assert before == custom.fingerprint("mine.py:Far", folder)
    (folder / "mine.py").write_text(MINE + "\n")
    assert before != custom.fingerprint("mine.py:f_score", folder)


# Each row: what a file holds, and what the refusal says of it.
FAULTS = [
    ("def f(:\n", ", line 1: not Python: invalid syntax"),
    ("x = 1\n\nx / 0\n", ", line 3: ZeroDivisionError: division by zero"),
    ("def g():\n    raise KeyError('a\\nb')\n\ng()\n", ", line 2: KeyError: 'a\\nb'"),  # where it is raised
    ("import no_such_package\n", ", line 1: ModuleNotFoundError: No module named 'no_such_package'"),
    ("import json\n\njson.loads('{')\n", ", line 3: JSONDecodeError"),  # the file's own line, not the library's
    ("import sys\nsys.exit(3)\n", ", line 2: SystemExit: 3"),
    ("raise RuntimeError('two\\nlines')\n", ", line 1: RuntimeError: two lines"),
    ("eval('1 +')\n", ", line 1: SyntaxError"),  # of code in the code
    (b"\xff\xfe = 1\n", ", line 1: not Python: (unicode error)"),
    (b"x = '\x00'\n", ": not Python: "),
]


@pytest.mark.parametrize(("text", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_a_file_that_cannot_be_run_is_named_with_its_line(folder: Path, text: str | bytes, message: str) -> None:
    path = folder / "bad.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = set(sys.modules)
    said = refusal(lambda: custom.load("bad.py:x", folder))
    assert said.startswith(f"{path}{message[:2]}") and message in said
    assert not [name for name in set(sys.modules) - before if name.startswith("lensmith_custom_")]
    path.write_text("x = 5\n")
    assert custom.load("bad.py:x", folder) == 5, "once mended, it is read anew"


def test_what_is_not_there_is_refused(folder: Path) -> None:
    said = refusal(lambda: custom.load("mine.py:f_scor", folder))
    assert said.startswith(f"{folder / 'mine.py'}: expected one of Margin, f_score, after") and "'f_score'?" in said
    assert refusal(lambda: custom.load("mien.py:f", folder)).endswith("a file of Python code; got no such file")
    assert "is a directory" in refusal(lambda: custom.load(".py:f", _made(folder / ".py")))
    for reference in ("mine.py", "mine:f", "mine.py:", "mine.py:a b", "mine.txt:f", "mine.py:a.b"):
        said = refusal(lambda reference=reference: custom.load(reference, folder))
        assert said == f"reference: expected a file and a name in it, as in 'mine.py:f_score'; got {reference!r}"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder.parent


KINDS = [  # by which function, the name in the file, the class of what it gives
    (custom.as_loss, "f_score", "function"),
    (custom.as_loss, "Far", "Far"),
    (custom.as_loss, "far", "Far"),
    (custom.as_metric, "f_score", "function"),
    (custom.as_metric, "Count", "Count"),
    (custom.as_callback, "after", "function"),
    (custom.as_callback, "f_score", "function"),  # it can take three
    (custom.as_callback, "Logger", "Logger"),  # its argument has a default
]


@pytest.mark.parametrize(("kind", "name", "expected"), KINDS)
def test_kinds(folder: Path, kind, name: str, expected: str) -> None:
    assert type(kind(custom.load(f"mine.py:{name}", folder), name)).__name__ == expected


NO_KINDS = [
    (custom.as_loss, "number", "expected a function of (y_true, y_pred) or a keras.losses.Loss; got int 7"),
    (custom.as_loss, "after", "got a function of (epoch, row, model)"),
    (custom.as_loss, "Count", "got the class Count"),
    (custom.as_metric, "far", "or a keras.metrics.Metric; got Far"),
    (custom.as_metric, "Far", "got the class Far"),
    (custom.as_callback, "far", "expected a function of (epoch, row, model) or a keras.callbacks.Callback; got Far"),
    (custom.as_loss, "Needy", "expected a class without arguments that must be given; got margin, other"),
    (custom.as_loss, "Broken", "Broken(): RuntimeError: no such luck"),
]


@pytest.mark.parametrize(("kind", "name", "message"), NO_KINDS)
def test_what_is_of_another_kind_is_refused(folder: Path, kind, name: str, message: str) -> None:
    said = refusal(lambda: kind(custom.load(f"mine.py:{name}", folder), f"mine.py:{name}"))
    assert said.startswith(f"mine.py:{name}: ") and message in said


def test_a_model_trained_with_ones_own_code_is_opened_without_it(folder: Path) -> None:
    recipe = compose.Recipe((4,), None, compose.Dense((8,)), {"label": compose.Classify(2)})
    model = recipe.build(seed=0)
    view = compose.logits(model)
    objective = Objective(custom.as_loss(custom.load("mine.py:Far", folder), "mine.py:Far"), activation="softmax")
    x = np.random.default_rng(0).random((8, 4)).astype("float32")
    view.compile(optimizer="sgd", loss=loss_of(objective))
    view.train_on_batch(x, np.eye(2, dtype="float32")[[0, 1] * 4])
    labels = {"label": Labels("class", ("no", "yes"))}
    ship.save(folder / "model", ship.Saved(model, recipe, labels, data.Preprocessing(columns=4, scaling="none")))
    (folder / "mine.py").write_text("raise RuntimeError('this was run')\n")
    found = ship.load(folder / "model")
    expected, given = (keras.ops.convert_to_numpy(one(x)) for one in (model, found.model))
    np.testing.assert_array_equal(given, expected)
    assert "mine" not in "".join(path.read_text(errors="replace") for path in (folder / "model").iterdir())
