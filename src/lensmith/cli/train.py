"""``lensmith train``: from a folder of images, or a spec, to a proven artifact."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from lensmith import check
from lensmith.cli import SEVERE, show
from lensmith.cli.reading import FormatName, Read, ranges, spec_of

if TYPE_CHECKING:
    from lensmith.runs import Prepared, Run, Section, Spec
    from lensmith.train import Progress

    S = TypeVar("S", bound=Section)

NAME = "train"


def command(
    source: Annotated[
        str | None,
        typer.Argument(metavar="DATA|SPEC", help="A folder, table or archive of labelled images, or a spec."),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="The folder of the new run.", show_default="runs/NAME")] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the run in this folder.")] = None,
    more: Annotated[
        str | None, typer.Option("--data", metavar="MORE", help="With --resume: train on, with these examples too.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A zoo name; see lensmith zoo.", show_default="compact")] = None,
    image: Annotated[
        str | None,
        typer.Option(
            metavar="HxWxC", help="Size of the model's input, as 64x64x3.", show_default="by looking at the images"
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="Of computations in training: float32, mixed_bfloat16.", show_default="float32"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="How often to go through the images, in the last stage.", show_default="20"),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images a step.", show_default="32, fewer for few")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate at the start.", show_default="0.001")] = None,
    weights: Annotated[
        str | None,
        typer.Option("--from", metavar="WEIGHTS|RUN", help="Begin from imagenet, a weights file, or another run."),
    ] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help="Keep the weights of a part, such as stem; may be repeated."),
    ] = None,
    augment: Annotated[
        str | None, typer.Option(metavar="RANGES", help="Change images while training: light, strong, '{rotate: 15}'.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Parts written by lensmith data split.", show_default="60/20/20")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A folder that keeps decoded images, for speed.")
    ] = None,
    memory: Annotated[
        int | None, typer.Option(min=1, metavar="MIB", help="Memory that batches may take.", show_default="1024")
    ] = None,
    allow_leakage: Annotated[
        bool, typer.Option("--allow-leakage", help="Train although the same image stands on both sides of a split.")
    ] = False,
    format: FormatName = None,
    read: Read = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of initial weights, dropout and order.", show_default="0")
    ] = None,
    try_one_batch: Annotated[
        bool, typer.Option("--try-one-batch", help="First see whether the model can learn one batch by heart.")
    ] = False,
    advise: Annotated[
        bool, typer.Option("--advise", help="With --from: measure which way is best, and train nothing else.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Audit, split and build, but do not train.")] = False,
    as_json: show.Json = False,
) -> None:
    """Train on DATA, or as SPEC says; evaluate, ship and report."""
    from lensmith import runs

    last = {"epochs": epochs, "rate": rate, "freeze": freeze}
    changes: dict[str, Any] = {"model": model, "image": image, "batch": batch, "seed": seed}
    changes |= {"weights": weights, "precision": precision, "augment": ranges(augment), "memory": memory}
    changes |= {"cache": None if cache is None else str(cache.absolute())}
    changes |= {"split": None if split is None else str(split.absolute()), "allow_leakage": allow_leakage or None}
    changes |= {"read": spec_of(format, read) if format or read else None}
    given_last = {name: value for name, value in last.items() if value is not None}
    console = show.console(as_json)
    if resume is not None:
        given = {"DATA": source, "run": run, **changes, "dry-run": dry_run or None, "advise": advise or None}
        _refuse_beside_resume({name: value for name, value in given.items() if value is not None}, given_last, more)
        if more is not None:
            with show.counting("Looking at the new examples") as tell:
                grown = runs.extend(resume, more, last=given_last, on_file=tell)
            console.print(_plan_lines(grown))
        with _telling_why(resume, console):
            continued = continue_run(resume)
        finish(continued, as_json, console)
        return
    if source is None or more is not None:
        got = "neither" if more is None else "--data alone"
        raise check.SettingError(check.sentence("train", "DATA or SPEC, or --resume FOLDER", got))
    spec = with_options(spec_in(source), changes)
    if run is not None and not dry_run:
        runs.check_new(run)
    with show.counting("Looking at the examples") as tell:
        prepared = runs.prepare(spec, last=given_last, on_file=tell)
    introduce(prepared, console)
    if try_one_batch:
        _try_one_batch(prepared, console)
    if advise:
        found = runs.advise(prepared, progress=train_progress())
        console.print(found.sentence)
        if as_json:
            show.document(found.to_dict())
    elif dry_run:
        console.print("Nothing was trained or written: --dry-run.")
        if as_json:
            show.document({"spec": prepared.spec.model_dump(mode="json"), "audit": prepared.audit.to_dict()})
    else:
        folder = run or runs.fresh(Path(spec.data.source.rsplit(":", 1)[-1]).name)
        with _telling_why(folder, console):
            made = train_new(folder, prepared)
        finish(made, as_json, console)
    if prepared.audit.severe:
        raise typer.Exit(SEVERE)


def _refuse_beside_resume(given: dict[str, Any], last: dict[str, Any], more: str | None) -> None:
    """A run knows all; one that trains on with more data may be told how long, and at what rate."""
    wrong = list(given) + (list(last) if more is None else [])
    if wrong:
        expected = "nothing else: the run knows all" if more is None else "only --epochs, --rate and --freeze"
        raise check.SettingError(check.sentence("--resume", expected, f"{wrong[0]} beside it"))


def _try_one_batch(prepared: Prepared, console: Any) -> None:
    """Stop where the model cannot even learn a single batch.

    Raises:
        LensmithError: it cannot; says what was seen and what to do.
    """
    from lensmith import runs

    trial = runs.try_one_batch(prepared)
    if not trial.learnt:
        raise check.LensmithError(f"--try-one-batch: {trial.evidence}. {trial.advice}")
    console.print(f"One batch: {trial.evidence}.")


def _plan_lines(spec: Spec) -> str:
    """The plan of a spec, numbered."""
    from lensmith.runs.plan import told

    lines = told(spec.train)
    return "\n".join(f"{'Plan:' if number == 1 else '':5} {number} {line}" for number, line in enumerate(lines, 1))


def spec_in(source: str) -> Spec:
    """The spec in a file, or the default one for a folder or a bundled table."""
    from lensmith import runs

    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        return runs.read_spec(path)
    where = source if source.startswith("bundled:") else str(path.resolve())
    return runs.Spec(data=runs.DataSpec(source=where))


def with_options(spec: Spec, changes: dict[str, Any]) -> Spec:
    """The spec with what the command line says in place of what it said."""
    given = {name: value for name, value in changes.items() if value is not None}
    if not given:
        return spec  # as it was read, so that an error still knows the line
    from lensmith import runs

    section = spec.data
    if "image" in given:
        given["image"] = image_size(given["image"])
    own = ("image", "batch", "augment", "cache", "memory", "allow_leakage", "read")
    if "split" in given:
        section = _changed(section, {"split": _changed(section.split or runs.SplitSpec(), {"file": given["split"]})})
    section = _changed(section, {name: given[name] for name in own if name in given})
    named = {"model": "learner", "weights": "weights", "precision": "precision"}
    model = _changed(spec.model, {field: given[name] for name, field in named.items() if name in given})
    top = {"seed": given["seed"]} if "seed" in given else {}
    return _changed(spec, {"data": section, "model": model, **top})


def _changed(section: S, values: dict[str, Any]) -> S:
    """The section with these values in place of its own, checked."""
    from lensmith import runs

    kept = {name: getattr(section, name) for name in section.model_fields_set}
    return runs.validated(type(section), kept | values) if values else section


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
    for task, anchors in prepared.anchors.items():
        sizes = ", ".join(f"{width:.0f}x{height:.0f}" for width, height in anchors.sizes.tolist())
        console.print(f"Anchors of {task}: {sizes} pixels; mean IoU with the boxes {anchors.mean_iou:.2f}.")
    console.print(_plan_lines(prepared.spec))
    if prepared.spec.ship is None:
        console.print("No artifact will be made.")


def train_new(folder: Path, prepared: Prepared) -> Run:
    from lensmith import runs

    return runs.begin(folder, prepared, progress=train_progress())


def continue_run(folder: Path) -> Run:
    from lensmith import runs

    return runs.resume(folder, progress=train_progress())


def train_progress() -> Progress:
    """A bar on standard error."""
    from lensmith import train

    return train.RichProgress(show.progress_console())


@contextlib.contextmanager
def _telling_why(folder: Path, console: Any) -> Iterator[None]:
    """Show what was noticed before training ends with a loss that is no number."""
    try:
        yield
    except check.LensmithError as error:
        from lensmith import runs
        from lensmith.train.divergence import Diverged

        if isinstance(error, Diverged):
            noticed(runs.open_run(folder).diagnosis, console)
        raise


def noticed(found: Iterable[Mapping[str, Any]], console: Any) -> None:
    """Show the troubles of a training, a line each."""
    for one in found:
        console.print(f"Noticed   {one['evidence']}. {one['advice']}")


def finish(run: Run, as_json: bool, console: Any) -> None:
    """Show what came of a run."""
    results, folder = run.results or {}, run.folder
    shown = ", ".join(_shown(*item) for item in results["metrics"].items())
    console.print(f"\n{results['part'].capitalize():9} {shown}")
    for line in _found(results.get("detections", {})):
        console.print(line)
    if (before := results.get("before")) is not None:
        known = ", ".join(_shown(*item) for item in before.items() if item[0] not in ("part", "examples"))
        console.print(f"Before    {known}, on the same examples")
    if phases := results.get("gains"):
        console.print(f"Stages    {phases}")
    noticed(results.get("diagnosis", ()), console)
    console.print(f"Run       {folder.path}\nReport    {folder.report}")
    if run.artifact is not None:
        proof = results["proof"]
        console.print(
            f"Artifact  {run.artifact} ({show.size(run.artifact)}), equal to the model on {proof['images']} examples"
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
        "artifact": None if run.artifact is None else str(run.artifact),
        "parity_max_difference": (results["proof"] or {}).get("max_difference"),
        "part": results["part"],
        "examples": results["examples"],
        **results["metrics"],
        "classes": results["classes"],
        **_detectors(results),
        "seconds": results["seconds"],
        "stages": results.get("stages", []),
        "gains": results.get("gains"),
        "diagnosis": results.get("diagnosis", []),
        "evaluations": results.get("evaluations", 1),
        "before": results.get("before"),
    }


def _detectors(results: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of the detectors, and what they found at their thresholds, as ``lensmith evaluate`` has them."""
    found = results.get("detections", {})
    told = {
        task: {**one["scores"], "counts": one["counts"], "threshold": one["threshold"]} for task, one in found.items()
    }
    return {"detectors": told} if told else {}


def _found(detections: Mapping[str, Any]) -> Iterator[str]:
    """What each detector found and missed, a line each."""
    from lensmith.runs.report import counted

    for task, one in detections.items():
        of = f"{task}: " if len(detections) > 1 else ""
        yield f"{'Objects':9} {of}{counted(one['counts'], one['threshold'])}"


def _shown(name: str, value: float | None) -> str:
    from lensmith.runs.report import metric

    words = metric(name)
    if value is None:  # of a detector, where there is no object
        return f"{words} unknown"
    if "mAP@" in words:
        return f"{words} {show.percent(value)}"
    return f"{name} {show.percent(value)}" if name.endswith("accuracy") else f"{name} {value:.4g}"
