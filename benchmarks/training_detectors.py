"""Training detectors with the usual plan: how good they get, and how long that takes.

    .venv/bin/python benchmarks/training_detectors.py [--data FOLDER] [--only NAME] [--epochs N] [--keep FOLDER]

Each case is one call of ``lensmith train`` as a user would type it, in a process of its own; printed are the mean
average precision of the part that judges, and the minutes from the call to the report. Nothing is tuned for a case:

=========  =================================================  ===================================  ==================
case       images                                             begins with                          goal of mAP@0.5
=========  =================================================  ===================================  ==================
scenes     900 drawn scenes with 0 to 4 digits, 96×96         chance                               0.95 in 5 minutes
raccoons   160 photos with one class (Pascal VOC)             MobileNet V1 0.25 of ImageNet        0.5 in 30 minutes
cells      210 images of a microscope, two classes (COCO)     the same                             0.6 in 30 minutes
=========  =================================================  ===================================  ==================

The last two need the data folder, with ``raccoon_voc``, ``rbc_coco`` and ``mobilenet_v1_025``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
LENSMITH = "import sys; from lensmith.cli import main; sys.exit(main())"
SPEC = """\
data: {{source: {source}, split: {{train: 0.8, validation: 0.2, test: 0.0}}}}
model: {{learner: mobilenet-v1-0.25, weights: {weights}}}
"""


@dataclass(frozen=True)
class Case:
    """One training."""

    name: str
    source: str
    goal: float
    minutes: float
    whole: bool = True  # the source has parts of its own, or is drawn; else 160 photos train and 40 judge


CASES = (
    Case("scenes", "bundled:digit-scenes", 0.95, 5),
    Case("raccoons", "raccoon_voc", 0.5, 30, whole=False),
    Case("cells", "rbc_coco", 0.6, 30),
)


def arguments(case: Case, data: Path, folder: Path) -> list[str]:
    """What is said to ``lensmith train``."""
    if case.source.startswith("bundled:"):
        return [case.source]
    source, weights = data / case.source, data / "mobilenet_v1_025" / "mobilenet_v1_0.25_224.h5"
    if case.whole:
        return [str(source), "--model", "mobilenet-v1-0.25", "--from", str(weights)]
    spec = folder / f"{case.name}.yaml"
    spec.write_text(SPEC.format(source=source, weights=weights))
    return [str(spec)]


def trained(case: Case, data: Path, folder: Path, epochs: int | None) -> dict[str, object]:
    """Train one case, and say what came of it."""
    run = folder / case.name
    given = [*arguments(case, data, folder), "--run", str(run), *(["--epochs", str(epochs)] if epochs else [])]
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", LENSMITH, "train", *given], check=False, stdout=subprocess.DEVNULL)
    minutes = (time.perf_counter() - began) / 60
    if not (run / "results.json").is_file():
        raise SystemExit(f"{case.name}: lensmith train ended with {done.returncode} and no results")
    found = json.loads((run / "results.json").read_text())
    return {
        "case": case.name,
        "map50": found["metrics"]["map50"],
        "map": found["metrics"]["map"],
        "part": found["part"],
        "examples": found["examples"],
        "minutes": round(minutes, 2),
        "goal": case.goal,
        "goal_minutes": case.minutes,
    }


def main() -> None:
    """Train the cases one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--only", choices=[case.name for case in CASES])
    parser.add_argument("--epochs", type=int, help="of the last stage, in place of the usual number")
    parser.add_argument("--keep", type=Path, help="a folder for the runs, which are thrown away otherwise")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as beside:
        folder = asked.keep or Path(beside)
        folder.mkdir(parents=True, exist_ok=True)
        for case in CASES:
            there = case.source.startswith("bundled:") or (asked.data / case.source).is_dir()
            if asked.only in (None, case.name) and there:
                rows.append(trained(case, asked.data, folder, asked.epochs))
                if not asked.json:
                    print(
                        "{case:9} mAP@0.5 {map50:.3f} (goal {goal}), mAP {map:.3f} on {examples} images of the {part}"
                        " part in {minutes} minutes (goal {goal_minutes})".format(**rows[-1]),
                        flush=True,
                    )
    if asked.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
