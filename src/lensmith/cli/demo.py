"""``lensmith demo``: the whole path on images that come with scikit-learn."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from lensmith.cli import show

NAME = "demo"

SPEC = """\
data: {source: "bundled:digits", split: {train: 0.6, validation: 0.2, test: 0.2}, batch: 64}
model: {learner: compact}
train:
  - {stage: fit, epochs: 8, rate: 0.002, schedule: cosine}
ship: {format: onnx}
"""


def command(
    run: Annotated[Path | None, typer.Option(help="The folder of the run.", show_default="runs/demo")] = None,
    as_json: show.Json = False,
) -> None:
    """Train on 1,797 handwritten digits, from the audit to a proven artifact; offline, under a minute."""
    began = time.monotonic()
    from lensmith import runs, ship
    from lensmith.cli import train

    console = show.console(as_json)
    if run is not None:
        runs.check_new(run)
    prepared = runs.prepare(runs.parse_spec(SPEC, "demo"))
    train.introduce(prepared, console)
    finished = train.train_new(run or runs.fresh("demo"), prepared)
    train.finish(finished, as_json=False, console=console)

    example = prepared.parts[2][0]
    (prediction,) = ship.predict(ship.open_artifact(finished.folder.artifact), [example])
    truth = prepared.parts[2].labels["label"].names[int(example.targets["label"])]  # type: ignore[arg-type]
    best = ", ".join(f"{scored.label} ({show.percent(scored.score)})" for scored in prediction.tasks["label"])
    console.print(f"Top 3     {best} for {example.source}, which is {truth}")

    seconds = time.monotonic() - began
    folder = finished.folder.path
    program = "lensmith" if shutil.which("lensmith") else os.path.relpath(sys.argv[0])
    console.print(
        f"\nDone in {seconds:.0f} s. Open the report in a browser, then try:\n"
        f"  {program} train YOUR_FOLDER_OF_CLASS_FOLDERS\n"
        f"  {program} predict {folder} AN_IMAGE\n"
        f"  {program} zoo"
    )
    if as_json:
        results = finished.results or {}
        proof = results["proof"]
        show.document(
            {
                "test_accuracy": results["metrics"]["accuracy"],
                "seconds": round(seconds, 2),
                "run": str(folder),
                "report": str(finished.folder.report),
                "artifact": str(finished.artifact),
                "parity_max_difference": proof["max_difference"],
                "prediction": prediction.to_dict(),
            }
        )
