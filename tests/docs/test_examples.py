"""The examples are specs that can be read, say what they cost and bring, and one is carried out on a drawn folder."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lensmith import runs

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SPECS = sorted(EXAMPLES.glob("*.yaml"))
SIDE = 48  # the least that the network of the histology case takes, rounded up
PICTURES, ROWS, COLUMNS = 5, 2, 2  # source pictures of each tissue, and the tiles that are cut from one


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_an_example_is_a_spec_that_says_command_time_and_number(path):
    head = path.read_text(encoding="utf-8").partition("\ndata:")[0]
    assert f"lensmith train examples/{path.name} --run runs/" in head
    assert re.search(r"^# Time: +\S.*\d", head, re.MULTILINE)
    assert re.search(r"^# Expected: +\S.*\d", head, re.MULTILINE)
    spec = runs.read_spec(path)
    if not spec.data.source.startswith("bundled:"):
        assert Path(spec.data.source).parent == EXAMPLES
    assert spec.train[-1].stage == "evaluate"
    assert runs.parse_spec(spec.to_yaml()).model_dump() == spec.model_dump()


def test_every_example_is_told_of():
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert SPECS
    assert {path.name for path in SPECS} == set(re.findall(r"\]\(([\w.]+\.yaml)\)", page))


@pytest.fixture
def tissues(tmp_path):
    """Eight drawn tissues, five source pictures each, cut into tiles that are named as those of the case study."""
    random = np.random.default_rng(0)
    for tissue in range(8):
        folder = tmp_path / "tissues" / f"{tissue + 1:02}_TISSUE"
        folder.mkdir(parents=True)
        for picture in range(PICTURES):
            drawn = texture(tissue, random)
            for row in range(ROWS):
                for column in range(COLUMNS):
                    top, left = row * SIDE, column * SIDE
                    number = f"{random.integers(16**4):05X}"
                    name = f"{number}_CRC-Prim-HE-{tissue:02}_{picture:03}.tif_Row_{top + 1}_Col_{left + 1}.tif"
                    Image.fromarray(drawn[top : top + SIDE, left : left + SIDE]).save(folder / name)
    return tmp_path / "tissues"


def texture(tissue: int, random: np.random.Generator) -> np.ndarray:
    """A picture of stripes whose width, direction and colour are the tissue's; its place and light are its own."""
    rows, columns = np.mgrid[: ROWS * SIDE, : COLUMNS * SIDE]
    angle, width = tissue * np.pi / 8, 3 + tissue % 4
    waves = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) / width + random.uniform(0, 6))
    stain = np.array([210 - 20 * tissue, 60 + 20 * tissue, 120 + 30 * (tissue % 3)]) + random.uniform(-6, 6, 3)
    noise = random.normal(0, 8, (*waves.shape, 3))
    return np.clip(stain + 40 * waves[..., None] + noise, 0, 255).astype(np.uint8)


def of_drawn(source: Path) -> runs.Spec:
    """The example's spec for the drawn tiles, which are few and small."""
    spec = runs.read_spec(EXAMPLES / "histology.yaml")
    section = spec.data.model_copy(update={"source": str(source), "image": (SIDE, SIDE, 3), "batch": 8})
    shorter = {"warmup": {"epochs": 1}, "fit": {"epochs": 15, "rate": 0.003}, "evaluate": {}}
    plan = tuple(stage.model_copy(update=shorter[stage.stage]) for stage in spec.train)
    return spec.model_copy(update={"data": section, "train": plan})


def test_no_source_picture_of_the_histology_case_is_in_two_parts(tissues):
    prepared = runs.prepare(of_drawn(tissues))
    pictures = [{record.group for record in part} for part in prepared.parts]
    assert sum(map(len, pictures)) == len(set.union(*pictures)) == 8 * PICTURES
    assert sum(map(len, prepared.parts)) == 8 * PICTURES * ROWS * COLUMNS
    assert all(set(part.counts("tissue").values()) != {0} for part in prepared.parts)
    assert prepared.recipe.tasks["tissue"].classes == 8


def test_the_histology_case_learns_drawn_tissues(tissues, tmp_path):
    run = runs.begin(tmp_path / "run", runs.prepare(of_drawn(tissues)))
    assert run.results["part"] == "test"
    assert run.results["metrics"]["accuracy"] > 0.5  # chance is an eighth
    assert run.artifact is not None
