"""The README keeps its word: its Python runs, its YAML is a spec, its links lead somewhere."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from lensmith import runs
from lensmith.records import Labels
from lensmith.runs.resolve import resolve

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    assert re.search(r"^[\d,]+ and [\d,]+ parameters$", out.getvalue(), re.MULTILINE)
    taps = re.search(r"print\(compose\.tap_names\(model\)\) +# (.*)", code)
    assert taps is not None
    assert taps[1] in out.getvalue(), "the taps the README names are those of the model"
    assert (tmp_path / "runs" / "digits" / "report.html").is_file()


def test_the_yaml_is_a_spec() -> None:
    (text,) = blocks("yaml")
    spec = runs.parse_spec(text)
    recipe = resolve(spec.model, spec.data.image or (), {"label": Labels("class", ("cat", "dog"))})
    assert recipe.build(seed=0).output.shape == (None, 2)
    assert [stage.stage for stage in spec.train] == ["warmup", "fit"]
    assert spec.train[1].to_record().checkpoint_every == 200


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/design.md", "benchmarks/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_the_paths_that_design_names_exist() -> None:
    text = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:compose|data|train|ship|runs)/[\w/]*(?:\.py)?)`", text):
        assert (ROOT / "src/lensmith" / path).exists(), path
