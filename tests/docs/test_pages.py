"""The other pages keep their word too: their Python runs, and prints what its comments say."""

from __future__ import annotations

import contextlib
import gc
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


PAGES = ("data", "finding_objects", "laboratory", "looking_inside", "painting", "several_tasks", "training")


@pytest.mark.parametrize("page", [f"{name}.md" for name in PAGES])
def test_the_snippets_run_one_after_the_other(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / page).read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, page, "exec"), names)
        assert out.getvalue().splitlines() == re.findall(r"print\(.*\)  # (.*)", code)
    names.clear()  # and with it what runs ahead in threads, before its folder goes
    gc.collect()
