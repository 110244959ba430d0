"""Plans: which orders of stages work, which one is used when nobody names one, and how a plan is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lensmith import check
from lensmith.runs.stage_specs import (
    DrawSpec,
    EvaluateSpec,
    FitSpec,
    PretextSpec,
    PseudoLabelSpec,
    StageSpec,
    WarmupSpec,
)

Plan = Sequence[StageSpec]
LEARNS = ("warmup", "fit")  # from labels


def names(plan: Plan) -> tuple[str, ...]:
    """The name of each stage, by which its folder is called.

    >>> names((WarmupSpec(), FitSpec()))
    ('1-warmup', '2-fit')
    """
    return tuple(f"{number}-{stage.stage}" for number, stage in enumerate(plan, start=1))


def check_order(plan: Plan) -> None:
    """Refuse a plan whose stages stand in an order that cannot work.

    Raises:
        SettingError: names the stage and where it should stand.
    """
    kinds = [stage.stage for stage in plan]
    if not set(kinds) & set(LEARNS):
        raise check.SettingError(check.sentence("train", "at least one stage fit or warmup", ", ".join(kinds)))
    for place, kind in enumerate(kinds):
        before, after = kinds[:place], kinds[place + 1 :]
        for wrong, expected, got in _faults(kind, before, after):
            if wrong:
                raise check.SettingError(check.sentence(f"train[{place}].stage", expected, got))


def _faults(kind: str, before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[bool, str, str]]:
    """What could be wrong with a stage between others: whether it is, what was expected, what came."""
    learnt = next((one for one in before if one in LEARNS), "")
    if kind == "draw":
        yield bool(before), "draw as the first stage, as it begins from new weights", f"it after {''.join(before[-1:])}"
    if kind == "pretext":
        yield bool(learnt), "pretext before anything is learnt from labels", f"it after {learnt}"
    if kind == "pseudo-label":
        yield not learnt, "a stage fit before pseudo-label, whose model gives the labels", "none"
        yield not set(after) & set(LEARNS), "a stage fit after pseudo-label, to learn from the labels", "none"
    if kind == "evaluate":
        yield (
            bool(after),
            "evaluate at the end, as the test part is for the finished model",
            f"{''.join(after[:1])} after it",
        )


def told(plan: Plan) -> tuple[str, ...]:
    """A line for each stage, in words.

    >>> told((WarmupSpec(), FitSpec(freeze=("stem",))))[1]
    'fit           20 epochs, adam at 0.001, cosine; stem frozen'
    """
    shown = plan if any(isinstance(stage, EvaluateSpec) for stage in plan) else (*plan, EvaluateSpec())
    return tuple(f"{stage.stage:13} {_words(stage)}" for stage in shown)


def _words(stage: StageSpec) -> str:
    if isinstance(stage, DrawSpec):
        return f"{stage.draws} draws of initial weights, {stage.steps} steps each at {stage.rate:g}; the best is kept"
    if isinstance(stage, PretextSpec):
        what = f"jigsaw of {stage.tiles} tiles" if stage.task == "jigsaw" else "rotation"
        return f"{what}, {_epochs(stage.epochs)}, {_optimizer(stage.optimizer)} at {stage.rate:g}"
    if isinstance(stage, WarmupSpec):
        return f"{_epochs(stage.epochs)}, {_optimizer(stage.optimizer)} from near 0 to {stage.rate:g}"
    if isinstance(stage, FitSpec):
        return "; ".join(_fit_words(stage))
    if isinstance(stage, PseudoLabelSpec):
        return f"label {stage.source} where the model is sure to {stage.above:.0%}"
    return "on the test part, once"


def _fit_words(stage: FitSpec) -> Iterator[str]:
    rate = f"{_optimizer(stage.optimizer)} at {stage.rate:g}, {stage.schedule.name}"
    yield f"{_epochs(stage.epochs)}, {rate}" + (f" after a warm-up of {stage.warmup:g}" if stage.warmup else "")
    if stage.freeze:
        yield f"{', '.join(stage.freeze)} frozen" + (", run once and kept" if stage.features else "")
    if stage.tasks:
        yield f"only {', '.join(stage.tasks)}"
    if stage.teacher:
        yield f"taught by {stage.teacher.source}"
    if stage.stop:
        monitored = stage.stop.monitor or stage.monitor
        yield f"stops after {_epochs(stage.stop.patience)} without a better {monitored}"


def _epochs(count: int) -> str:
    return f"{count} epoch" + "s" * (count != 1)


def _optimizer(optimizer: str | dict[str, Any]) -> str:
    return optimizer if isinstance(optimizer, str) else str(optimizer.get("name", "adam"))
