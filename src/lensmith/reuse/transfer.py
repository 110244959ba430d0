"""Transfer: the two stages that make a trained backbone answer other questions, and what each of them gained.

First the heads alone, on a backbone that stays as it is: heads of chance would else spoil it with their first errors.
Then its last groups too, at a lower rate and with the moving statistics of batch normalisation kept, which a few
hundred examples cannot tell anew (Yosinski et al. 2014, How transferable are features in deep neural networks?,
section 4: what the last layers see is the least general).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lensmith import check, trainable
from lensmith.train import Fit, Patience, Row
from lensmith.trainable import Place

HEADS = "heads alone"
TUNING = "fine-tuning"
SLOWER = 20  # how many times slower the backbone trains than the heads did; between a tenth and a thirtieth

_HEAD = re.compile(r"task-")
# The parts of a recipe's model, from the widest to the narrowest: learner, learner-group4, learner-group4-block2.
_LEVELS = tuple(re.compile(rf"stem(?=-|$)|(?:learner|decoder)(?:-[A-Za-z0-9]+){{{deep}}}(?=-|$)") for deep in range(3))
_LOWER_IS_BETTER = re.compile(r"loss|error|entropy|divergence|mae|mse|rmse")
_SHARE = re.compile(r"(?:^|_)(?:acc|accuracy|top_k_categorical_accuracy|precision|recall|auc|iou|f_?1|f_score)$")


@dataclass(frozen=True, slots=True)
class Gain:
    """What one stage came to.

    Args:
        stage: its number in the plan, from 1.
        name: what it did, such as ``fine-tuning``.
        monitor: the value that it is told in.
        before: that value at the end of the stage before; None for the first that has one.
        after: the value of the epoch whose weights the stage ended with.
        gain: how much better ``after`` is; negative where it is worse. None where there is nothing before.
    """

    stage: int
    name: str
    monitor: str
    before: float | None
    after: float
    gain: float | None


def plan(
    model: Any,
    *,
    head_epochs: int = 30,
    tune_epochs: int = 10,
    rate: float = 1e-3,
    tune_rate: float | None = None,
    share: float = 0.34,
    patience: int = 5,
    monitor: str = "val_loss",
) -> tuple[Fit, Fit]:
    """The two stages of transfer learning: the heads alone, then they and the last groups of the backbone.

    Args:
        model: with heads of its own, whose layers are named ``task-NAME-…``: built from a recipe, or by
            :func:`lensmith.compose.with_head` on any other network.
        head_epochs: of the first stage, at most.
        tune_epochs: of the second, at most.
        rate: of the heads in the first stage.
        tune_rate: of all that trains in the second; None is a twentieth of ``rate``.
        share: about which part of the backbone's layers with weights is fine-tuned, 0 to 1; the cut is made at the
            nearest border of its groups, and the last group trains in any case. With 1 all of it trains.
        patience: epochs without improvement after which a stage stops.
        monitor: the value that decides which epoch of a stage was its best.

    Returns:
        Two stages. What they freeze are names of parts that the model has, as few as say it.

    Raises:
        SettingError: the model has no heads, or nothing before them.

    Example:
        >>> from lensmith.compose import zoo
        >>> heads, tuning = plan(zoo.get("resnet18-v1").build(seed=0))
        >>> heads.freeze, tuning.freeze
        (('stem', 'learner'), ('stem', 'learner-group1', 'learner-group2', 'learner-group3'))
        >>> tuning.rate, tuning.hold_norms
        (5e-05, True)
    """
    check.between("share", share, 0.0, 1.0)
    places = backbone(model)
    slower = rate / SLOWER if tune_rate is None else tune_rate
    stop = Patience(monitor=monitor, patience=patience)
    still = places[: _cut(places, share)]
    heads = Fit(epochs=head_epochs, rate=rate, freeze=patterns(model, places), stop=stop, monitor=monitor)
    freeze = patterns(model, still)
    return heads, Fit(epochs=tune_epochs, rate=slower, freeze=freeze, stop=stop, monitor=monitor, hold_norms=True)


def backbone(model: Any) -> tuple[Place, ...]:
    """The layers with weights before the heads, in the order that data passes through them.

    Raises:
        SettingError: the model has no heads, or nothing before them.
    """
    places = trainable.places(model)
    before = tuple(place for place in places if not _HEAD.match(_last(place.path)))
    if len(before) == len(places):
        remedy = "Put a head on it: lensmith.compose.with_head"
        raise check.SettingError(check.sentence("transfer", "a model with layers named task-NAME-…", "none", remedy))
    if not before:
        raise check.SettingError(check.sentence("transfer", "layers with weights before the heads", "none"))
    return before


def patterns(model: Any, chosen: Sequence[Place]) -> tuple[str, ...]:
    """The fewest names of parts that choose these layers of a model and no others."""
    wanted = {place.path for place in chosen}
    if not wanted:
        return ()
    paths = [place.path for place in trainable.places(model)]
    # From the widest names to the narrowest; the layers' own paths choose what no name of a part does.
    names = [_part(place.path, level) for level in range(len(_LEVELS)) for place in chosen]
    left, found = set(wanted), list[str]()
    for name in dict.fromkeys([*names, *(place.path for place in chosen)]):
        these = {path for path in paths if trainable.matches(name, path)}
        if these <= wanted and these & left:
            found.append(name)
            left -= these
    first = {name: next(i for i, path in enumerate(paths) if trainable.matches(name, path)) for name in found}
    return tuple(sorted(found, key=first.__getitem__))


def gains(
    rows: Sequence[Row],
    stages: Mapping[int, Fit],
    *,
    names: Mapping[int, str] | None = None,
    metric: str | None = None,
) -> tuple[Gain, ...]:
    """What each stage of a run came to.

    Args:
        rows: of the history; each says with ``stage`` which stage it belongs to, and belongs to stage 1 where it does
            not.
        stages: those that trained, by their number in the plan.
        names: what to call them; left out, stages that freeze all but the heads, fine-tune or train are called so.
        metric: the value to tell, such as ``val_accuracy``; left out, the first accuracy of the validation part, or
            the stage's own monitor.

    Returns:
        One for each stage that has rows, in their order.

    Raises:
        SettingError: the rows have no such value.

    Example:
        >>> rows = [{"stage": 1, "epoch": 1, "val_loss": 0.3, "val_accuracy": 0.931},
        ...         {"stage": 2, "epoch": 2, "val_loss": 0.2, "val_accuracy": 0.937}]
        >>> stages = {1: Fit(freeze=("stem", "learner")), 2: Fit(freeze=("stem",), hold_norms=True)}
        >>> print(sentence(gains(rows, stages)))
        heads alone: val_accuracy 93.1 %; fine-tuning: +0.6 points, 93.7 %
    """
    found: list[Gain] = []
    for number, stage in sorted(stages.items()):
        own = [row for row in rows if row.get("stage", 1) == number]
        if not own:
            continue
        kept = _kept(own, stage)
        name = metric or _told(kept, stage)
        check.one_of("metric", name, kept)
        after, before = kept[name], next((gain.after for gain in reversed(found) if gain.monitor == name), None)
        if after is None:
            continue
        better = None if before is None else (before - after if falls(name) else after - before)
        called = (names or {}).get(number) or _called(stage, first=not found)
        found.append(Gain(number, called, name, before, after, better))
    return tuple(found)


def sentence(found: Sequence[Gain]) -> str:
    """Gains in words, on one line.

    >>> print(sentence([Gain(1, "heads alone", "val_loss", None, 0.25, None),
    ...                 Gain(2, "fine-tuning", "val_loss", 0.25, 0.26, -0.01)]))
    heads alone: val_loss 0.25; fine-tuning: 0.01 worse, 0.26
    """
    return "; ".join(_said(gain) for gain in found)


def in_words(name: str, value: float) -> str:
    """A value as it is told: a share in percent, anything else in four digits.

    >>> in_words("val_accuracy", 0.9314), in_words("val_loss", 0.123456)
    ('93.1 %', '0.1235')
    """
    return f"{100 * value:.1f} %" if is_share(name) else f"{value:.4g}"


def difference_in_words(name: str, difference: float) -> str:
    """A difference of two values as it is told: in points of a hundred for shares.

    >>> difference_in_words("val_accuracy", 0.0061), difference_in_words("val_loss", 0.0061)
    ('0.6 points', '0.0061')
    """
    return f"{100 * difference:.1f} points" if is_share(name) else f"{difference:.4g}"


def is_share(name: str) -> bool:
    """Whether a metric of this name is a share, 0..1, of examples or of areas."""
    return _SHARE.search(name) is not None


def falls(name: str) -> bool:
    """Whether less of a metric of this name is better."""
    return _LOWER_IS_BETTER.search(name) is not None


def _said(gain: Gain) -> str:
    after = in_words(gain.monitor, gain.after)
    if gain.gain is None:
        return f"{gain.name}: {gain.monitor} {after}"
    if is_share(gain.monitor):
        return f"{gain.name}: {'+' if gain.gain >= 0 else ''}{difference_in_words(gain.monitor, gain.gain)}, {after}"
    better = "better" if gain.gain >= 0 else "worse"
    return f"{gain.name}: {difference_in_words(gain.monitor, abs(gain.gain))} {better}, {after}"


def _cut(places: Sequence[Place], share: float) -> int:
    """How many of the backbone's layers stay as they are: up to the border nearest to what the share says."""
    if share == 1.0:
        return 0
    # At the borders of groups; within them only where there is one, and layer by layer where it is one block.
    divided = [[_part(place.path, level) for place in places] for level in range(1, len(_LEVELS))]
    parts = next((parts for parts in divided if len(set(parts)) > 1), [place.path for place in places])
    borders = [i for i in range(1, len(parts)) if parts[i] not in parts[:i]]
    wanted = (1.0 - share) * len(places)
    # Where two borders are as near, the later one: what is frozen cannot be spoilt.
    return min(reversed(borders), key=lambda border: abs(border - wanted), default=0)


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _part(path: str, level: int) -> str:
    """The part of a recipe's model that a layer belongs to; any other layer is a part of its own."""
    match = _LEVELS[level].match(path)
    return match[0] if match else path


def _kept(rows: Sequence[Row], stage: Fit) -> Row:
    """The row of the epoch whose weights the stage ended with."""
    if not stage.restore_best or not any(name.startswith("val_") for name in rows[0]):
        return rows[-1]
    name = "loss" if stage.monitor == "val_loss" and stage.monitor not in rows[0] else stage.monitor
    check.one_of("monitor", name, rows[0])
    measured = [(value, row) for row in rows if (value := row[name]) is not None]
    if not measured:
        return rows[-1]
    less = falls(name) if stage.mode == "auto" else stage.mode == "min"
    # The first of several that are equal, as training keeps it.
    return min(measured, key=lambda pair: pair[0] if less else -pair[0])[1]


def _told(row: Row, stage: Fit) -> str:
    accuracy = next((name for name in row if name.startswith("val_") and name.endswith("accuracy")), None)
    return accuracy or (stage.monitor if stage.monitor in row else "loss")


def _called(stage: Fit, *, first: bool) -> str:
    if stage.freeze and first and not stage.hold_norms:
        return HEADS
    return TUNING if stage.hold_norms or stage.freeze else "training"
