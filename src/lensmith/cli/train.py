"""``lensmith train``: from a folder of images, or a spec, to a proven artifact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lensmith import check
from lensmith.cli import show

if TYPE_CHECKING:
    from lensmith.runs import Prepared, Run, Spec

NAME = "train"


def command(
    source: Annotated[
        str | None, typer.Argument(metavar="DATA|SPEC", help="A folder of images in class folders, or a YAML spec.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="The folder of the new run. [default: runs/NAME]")] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the run in this folder.")] = None,
    model: Annotated[str | None, typer.Option(help="A zoo name; see lensmith zoo. [default: compact]")] = None,
    image: Annotated[str | None, typer.Option(metavar="HxWxC", help="Size of the model's input: 64x64x3.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="How often to go through the images.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images a step.")] = None,
    rate: Annotated[float | None, typer.Option(min=0, help="Learning rate at the start.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of initial weights, dropout and order.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Audit, split and build, but do not train.")] = False,
    as_json: show.Json = False,
) -> None:
    """Train on DATA, or as SPEC says; evaluate, ship and report."""
    from lensmith import runs

    if (source is None) == (resume is None):
        raise check.SettingError("train: expected DATA or SPEC, or --resume FOLDER, and not both")
    console = show.console(as_json)
    if resume is not None:
        finish(continue_run(resume), as_json, console)
        return
    changes = {"model": model, "image": image, "epochs": epochs, "batch": batch, "rate": rate, "seed": seed}
    spec = with_options(read(str(source)), changes)
    prepared = runs.prepare(spec)
    introduce(prepared, console)
    if dry_run:
        console.print("Nothing was trained or written: --dry-run.")
        if as_json:
            show.document({"spec": prepared.spec.model_dump(mode="json"), "audit": prepared.audit.to_dict()})
        return
    folder = run or runs.fresh(Path(spec.data.source.rsplit(":", 1)[-1]).name)
    finish(train_new(folder, prepared), as_json, console)


def read(source: str) -> Spec:
    """The spec in a file, or the default one for a folder or a bundled table."""
    from lensmith import runs

    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        return runs.read_spec(path)
    where = source if source.startswith("bundled:") else str(path.resolve())
    return runs.Spec(data=runs.DataSpec(source=where))


def with_options(spec: Spec, changes: dict[str, Any]) -> Spec:
    """The spec with what the command line says in place of what it said."""
    from lensmith import runs

    values = spec.model_dump(exclude_unset=True)
    values.setdefault("train", [{}])
    places = {
        "image": values["data"],
        "batch": values["data"],
        "epochs": values["train"][0],
        "rate": values["train"][0],
    }
    if changes["image"] is not None:
        changes = changes | {"image": image_size(changes["image"])}
    if changes["model"] is not None:
        changes = changes | {"model": {"learner": changes["model"]}}
    for name, value in changes.items():
        if value is not None:
            places.get(name, values)[name] = value
    return runs.Spec.model_validate(values)


def image_size(text: str) -> tuple[int, int, int]:
    """``64x48x3`` as height, width, channels."""
    sizes = text.lower().split("x")
    if len(sizes) != 3 or not all(size.isdigit() and int(size) > 0 for size in sizes):
        raise check.SettingError(check.sentence("--image", "HEIGHTxWIDTHxCHANNELS, such as 64x64x3", repr(text)))
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def introduce(prepared: Prepared, console: Any) -> None:
    """Show what will be trained on what."""
    prepared.audit.show(console)
    total, _ = prepared.recipe.count()
    sizes = " / ".join(str(len(part)) for part in prepared.parts)
    shape = "x".join(str(size) for size in prepared.recipe.input)
    console.print(f"Split: {sizes} for training, validation and test. Model: input {shape}, {total:,} parameters.")


def train_new(folder: Path, prepared: Prepared) -> Run:
    from lensmith import runs, train

    return runs.begin(folder, prepared, progress=train.RichProgress(show.progress_console()))


def continue_run(folder: Path) -> Run:
    from lensmith import runs, train

    return runs.resume(folder, progress=train.RichProgress(show.progress_console()))


def finish(run: Run, as_json: bool, console: Any) -> None:
    """Show what came of a run, and what to try next."""
    results, folder = run.results or {}, run.folder
    shown = ", ".join(_shown(*item) for item in results["metrics"].items())
    console.print(f"\n[bold]{results['part'].capitalize()}[/]      {shown}")
    console.print(f"Run       {folder.path}\nReport    {folder.report}")
    if results["artifact"]:
        proof = results["proof"]
        where = Path(results["artifact"])
        console.print(
            f"Artifact  {where} ({show.size(where)}), equal to the model on {proof['images']} examples"
            f" to {proof['max_difference']:.1e}"
        )
    if as_json:
        show.document(document(run))


def document(run: Run) -> dict[str, Any]:
    """What a machine is told of a finished run."""
    results, folder = run.results or {}, run.folder
    return {
        "run": str(folder.path),
        "report": str(folder.report),
        "artifact": results["artifact"],
        "parity_max_difference": (results["proof"] or {}).get("max_difference"),
        "part": results["part"],
        "examples": results["examples"],
        **results["metrics"],
        "classes": results["classes"],
        "seconds": results["seconds"],
    }


def _shown(name: str, value: float) -> str:
    return f"{name} {show.percent(value)}" if name.endswith("accuracy") else f"{name} {value:.4g}"
