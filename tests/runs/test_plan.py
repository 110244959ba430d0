"""Plans: which orders of stages are refused, and how a plan is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lensmith import check, runs, train
from lensmith.runs import plan
from lensmith.runs.stage_specs import FitSpec, WarmupSpec, of_record

MORE = "{stage: pseudo-label, source: more/}"

# Each row: the stages of a plan, and what the refusal must say.
WRONG = [
    (["{stage: draw}"], ["train: expected at least one stage fit or warmup", "got draw"]),
    (["{stage: evaluate}"], ["at least one stage fit or warmup"]),
    (["{stage: fit}", "{stage: draw}"], ["train[1].stage", "draw as the first stage", "got it after fit"]),
    (["{stage: pretext}", "{stage: draw}", "{stage: fit}"], ["train[1].stage", "got it after pretext"]),
    (["{stage: fit}", "{stage: pretext}", "{stage: fit}"], ["train[1].stage", "pretext before anything is learnt"]),
    ([MORE, "{stage: fit}"], ["train[0].stage", "a stage fit before pseudo-label", "got none"]),
    (["{stage: fit}", MORE], ["train[1].stage", "a stage fit after pseudo-label", "got none"]),
    (["{stage: fit}", "{stage: evaluate}", "{stage: fit}"], ["train[1].stage", "evaluate at the end", "fit after it"]),
    (["{stage: evaluate}", "{stage: fit}"], ["train[0].stage", "evaluate at the end"]),
]

RIGHT = [
    ["{stage: fit}"],
    ["{}"],  # a stage without a kind is a fit
    ["{stage: warmup}"],
    ["{stage: draw}", "{stage: pretext}", "{stage: warmup}", "{stage: fit}", MORE, "{stage: fit}", "{stage: evaluate}"],
    ["{stage: fit}", "{stage: warmup}", "{stage: fit}"],
]


def planned(stages: list[str]) -> runs.Spec:
    return runs.parse_spec("data: {source: photos}\ntrain:\n" + "".join(f"  - {stage}\n" for stage in stages))


@pytest.mark.parametrize(("stages", "words"), WRONG)
def test_an_order_that_cannot_work_is_refused(stages: list[str], words: list[str]) -> None:
    with pytest.raises(check.SettingError) as caught:
        plan.check_order(planned(stages).train)
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


@pytest.mark.parametrize("stages", RIGHT)
def test_an_order_that_works_is_taken(stages: list[str]) -> None:
    plan.check_order(planned(stages).train)


def test_stages_are_named_by_number_and_kind() -> None:
    assert plan.names(planned(RIGHT[3]).train) == (
        *("1-draw", "2-pretext", "3-warmup", "4-fit", "5-pseudo-label", "6-fit", "7-evaluate"),
    )


def test_a_plan_is_told_in_words() -> None:
    lines = plan.told(planned(RIGHT[3]).train)
    assert lines[0] == "draw          5 draws of initial weights, 20 steps each at 1e-05; the best is kept"
    assert lines[1] == "pretext       jigsaw of 4 tiles, 5 epochs, adam at 0.001"
    assert lines[2] == "warmup        1 epoch, adam from near 0 to 0.001"
    assert lines[3] == "fit           20 epochs, adam at 0.001, cosine"
    assert lines[4] == "pseudo-label  label more/ where the model is sure to 95%"
    assert lines[6] == "evaluate      on the test part, once"
    assert len(lines) == 7, "evaluate is told once, whether the plan names it or not"
    assert len(plan.told(planned(["{}"]).train)) == 2


def test_what_a_fit_does_beside_is_told() -> None:
    text = "{rate: 0.1, warmup: 0.5, freeze: stem, features: true, tasks: label, stop: {patience: 1}, teacher: big}"
    assert plan.told(planned([text]).train)[0] == (
        "fit           20 epochs, adam at 0.1, cosine after a warm-up of 0.5; stem frozen, run once and kept; "
        "only label; taught by big; stops after 1 epoch without a better val_loss"
    )


@pytest.mark.parametrize(
    "record",
    [
        train.Draw(3, 7, 1e-4, "sgd"),
        train.Warmup(epochs=2, rate=0.5, freeze=("stem",), steps=4, accumulate=2),
        train.Fit(schedule=train.Step(0.1, 3, "step"), average=0.99, hold_norms=True, warmup=1.5, steps=9),
        train.Fit(schedule=train.Plateau(patience=1), dropout=train.GapDropout(0.5, 0.1, 0.5), accumulate=3),
    ],
)
def test_a_record_survives_the_spec(record: train.Fit | train.Warmup | train.Draw) -> None:
    section = of_record(record)
    if isinstance(record, train.Warmup):
        assert section.to_record() == record.to_fit()
    else:
        assert section.to_record() == record


def test_what_is_no_stage_is_refused() -> None:
    with pytest.raises(check.SettingError, match="expected Draw, Warmup or Fit"):
        of_record("fit")  # type: ignore[arg-type]


def test_paths_and_code_are_taken_from_the_folder_of_the_spec(tmp_path) -> None:
    text = """\
data: {source: photos}
train:
  - {stage: pretext, source: unlabelled}
  - stage: fit
    teacher: big
    callbacks: "mine.py:Logger"
    losses: {label: {loss: "mine.py:loss", metrics: [accuracy, "mine.py:score"]}}
    taps: {P3: "mine.py:sparsity"}
"""
    (tmp_path / "spec.yaml").write_text(text)
    pretext, fit = runs.read_spec(tmp_path / "spec.yaml").train
    code = f"{tmp_path / 'mine.py'}:"
    assert pretext.source == str(tmp_path / "unlabelled")
    assert (fit.teacher.source, fit.callbacks) == (str(tmp_path / "big"), (f"{code}Logger",))
    assert (fit.losses["label"].loss, fit.losses["label"].metrics) == (f"{code}loss", ("accuracy", f"{code}score"))
    assert fit.taps["P3"].loss == f"{code}sparsity"


def test_stages_can_be_changed_like_any_record() -> None:
    """A search takes a plan and puts other values into it."""
    stage = FitSpec(epochs=3)
    assert replace(stage.to_record(), rate=0.5).rate == 0.5
    assert WarmupSpec().model_copy(update={"rate": 0.5}).to_record().rate == 0.5
