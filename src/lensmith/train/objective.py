"""What a task is trained for and judged by, resolved to Keras losses and metrics on logits.

Models are trained on their logits, the values before softmax or sigmoid, because the losses are exact
there where probabilities have long been rounded to 0 or 1. A loss or metric that can read logits does;
any other one sees the activated outputs, as it would on the finished model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lensmith import check
from lensmith.backend import keras
from lensmith.train import losses, named
from lensmith.train.focal import Focal
from lensmith.train.losses import Adapted, Adjustment, Several, Tapped
from lensmith.train.named import ACTIVATIONS, FROM_LOGITS, Activation

# Metrics that look only at which class comes first, which softmax does not change.
_BY_RANK = {"CategoricalAccuracy", "SparseCategoricalAccuracy", "TopKCategoricalAccuracy", "ClassAccuracy"}
_BY_RANK |= {"SparseTopKCategoricalAccuracy"}
# Losses whose targets are rows of shares, and those that take class indices as well.
_ONE_HOT_LOSSES = {"CategoricalCrossentropy", "CategoricalHinge", "KLDivergence"}
_EITHER_LOSSES = {"Focal", "CategoricalFocalCrossentropy"}


@dataclass(frozen=True, slots=True)
class Objective:
    """What one task is trained for (its loss) and judged by (its metrics).

    Args:
        loss: a Keras loss by name, a ``keras.losses.Loss``, a function of ``(y_true, y_pred)``, ``"focal"`` or a
            :class:`Focal`; or several of these as pairs ``(loss, weight)``, whose weighted sum is trained.
        metrics: Keras metrics by name, ``keras.metrics.Metric`` objects, or such functions.
            ``accuracy`` means the kind that fits the activation.
        activation: what turns the model's logits into its outputs. Losses and metrics are given
            activated outputs, or logits where they can read those.
        weight: the share of this task in the total loss when there are several.
        target: the task whose targets this output is compared with; None is its own. An auxiliary head of a task
            names that task here, and needs no targets of its own.
        class_weights: how much each class counts: one weight for each of a softmax's classes, two (no and yes) for
            a single sigmoid, one for each label of several. The sum of the weighed losses is divided by the number of
            examples, as Keras does it. They weigh every loss of this task, in validation too, but no metric.
        smoothing: label smoothing, 0 to below 1: the part of the targets that is spread evenly over the classes
            (Szegedy et al. 2016, Section 7). It applies to cross-entropies and focal losses.
        tap: the output is feature maps, and the loss a function of the targets and the maps, ``(batch, …)`` float32,
            which gives one number or one for each example. The targets are those of ``target`` as they are, such as
            class indices, or None where no target is named.
        shape: of one example's targets, where it is not that of the output; None in it is any size. A detector's
            output has a row for each candidate box, its targets one for each object.
        measures: see :mod:`.measures`; of the validation alone.

    Raises:
        SettingError: a setting is wrong, or does not go with the activation.

    Example:
        >>> Objective("sparse_categorical_crossentropy", ("accuracy",), activation="softmax").weight
        1.0
        >>> Objective([("focal", 1), ("categorical_hinge", 0.1)], activation="softmax").loss
        (('focal', 1.0), ('categorical_hinge', 0.1))
    """

    loss: Any
    metrics: tuple[Any, ...] = ()
    activation: Activation = "linear"
    weight: float = 1.0
    target: str | None = None
    class_weights: tuple[float, ...] | None = None
    smoothing: float = 0.0
    tap: bool = False
    shape: tuple[int | None, ...] | None = None
    measures: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        check.one_of("activation", self.activation, ACTIVATIONS)
        check.between("weight", self.weight, 0.0, float("inf"))
        check.between("smoothing", self.smoothing, 0.0, 0.999)
        object.__setattr__(self, "metrics", tuple(self.metrics))
        object.__setattr__(self, "measures", tuple(self.measures))
        if isinstance(self.loss, list | tuple):
            object.__setattr__(self, "loss", losses.check_pairs(self.loss))
        if self.class_weights is not None:
            weights = losses.check_class_weights("class_weights", self.class_weights)
            object.__setattr__(self, "class_weights", weights)
        _check_together(self)

    @property
    def pairs(self) -> tuple[tuple[Any, float], ...]:
        """Each loss with its weight, also where there is one."""
        return self.loss if isinstance(self.loss, tuple) else ((self.loss, 1.0),)


def loss_of(objective: Objective) -> Any:
    """The Keras loss of an objective, for a model whose output is logits.

    Raises:
        SettingError: there is no loss of that name, or it does not go with the objective's other settings.

    Example:
        >>> loss_of(Objective("sparse_categorical_crossentropy", activation="softmax")).from_logits
        True
    """
    found = [_resolved(loss) for loss, _ in objective.pairs]
    if objective.tap:
        made = [Tapped(_of_maps(loss), targets=objective.target is not None) for loss in found]
    else:
        _check_adjusted(objective, found)
        made = [_made(objective, loss) for loss in found]
    if not isinstance(objective.loss, tuple):
        return made[0]
    none = Adjustment()
    parts = [loss if isinstance(loss, keras.losses.Loss) else Adapted(loss, "linear", none) for loss in made]
    return Several([(loss, weight) for loss, (_, weight) in zip(parts, objective.pairs, strict=True)])


def metrics_of(objective: Objective) -> list[Any]:
    """The Keras metrics of an objective, for a model whose output is logits.

    Raises:
        SettingError: there is no metric of that name, or it needs settings that a name cannot give.

    Example:
        >>> [metric] = metrics_of(Objective("mse", ("accuracy",), activation="sigmoid"))
        >>> metric.name
        'accuracy'
    """
    made = [_metric(metric, objective) for metric in objective.metrics]
    twice = [name for name, count in Counter(metric.name for metric in made).items() if count > 1]
    if twice:
        raise check.SettingError(f"metrics: the name {twice[0]!r} stands twice; rename one of the two")
    return made


def direction(metric: Any) -> Literal["min", "max"] | None:
    """Whether less or more of a metric is better, as far as Keras knows."""
    return {"up": "max", "down": "min"}.get(getattr(metric, "_direction", ""))  # type: ignore[return-value]


def describe(objectives: Mapping[str, Objective]) -> dict[str, Any]:
    """Objectives as plain values, to tell whether a run is resumed with the ones it began with.

    A function is described by its name: that its code is the same has to be looked at elsewhere.
    """
    return {
        task: {
            "loss": _described_loss(objective),
            "metrics": [named.described(metric) for metric in objective.metrics],
            "activation": objective.activation,
            "weight": objective.weight,
            # What is not used is left out, so that runs begun before there was such a thing can be resumed.
            **({"target": objective.target} if objective.target is not None else {}),
            **({"class_weights": list(objective.class_weights)} if objective.class_weights is not None else {}),
            **({"smoothing": objective.smoothing} if objective.smoothing else {}),
            **({"tap": True} if objective.tap else {}),
        }
        for task, objective in objectives.items()
    }


class Activated(keras.metrics.Metric):  # type: ignore[misc]
    """A Keras metric that is shown activated outputs where the model gives logits."""

    def __init__(self, metric: Any, activation: Activation) -> None:
        super().__init__(name=metric.name, dtype=metric.dtype)
        self.metric = metric
        self._activation = activation
        self._direction = getattr(metric, "_direction", None)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.metric.update_state(y_true, named.activated(y_pred, self._activation), sample_weight=sample_weight)

    def result(self) -> Any:
        return self.metric.result()

    def reset_state(self) -> None:
        self.metric.reset_state()


class ClassAccuracy(keras.metrics.MeanMetricWrapper):  # type: ignore[misc]
    """The share of examples whose likeliest class is the target's: of class indices, or of rows of shares."""

    def __init__(self, name: str = "accuracy") -> None:
        super().__init__(_hits, name=name)
        self._direction = "up"


def _hits(y_true: Any, y_pred: Any) -> Any:
    shares = len(y_true.shape) == len(y_pred.shape)
    kind = keras.metrics.categorical_accuracy if shares else keras.metrics.sparse_categorical_accuracy
    return kind(y_true, y_pred)


def _check_together(objective: Objective) -> None:
    """Refuse settings that do not go together."""
    adjusted = [name for name in ("class_weights", "smoothing") if getattr(objective, name)]
    if adjusted and objective.activation == "linear":
        got = "a tap" if objective.tap else "activation 'linear'"
        raise check.SettingError(check.sentence(adjusted[0], "softmax or sigmoid, which have classes", got))
    if not objective.tap:
        return
    if objective.activation != "linear":
        raise check.SettingError(check.sentence("tap", "activation 'linear'", repr(objective.activation)))
    if objective.metrics:
        raise check.SettingError(check.sentence("tap", "an output without metrics", repr(objective.metrics)))


def _check_adjusted(objective: Objective, found: list[Any]) -> None:
    """Refuse settings that these losses cannot have."""
    for loss in found:
        if isinstance(loss, Focal) and objective.activation == "linear":
            expected = "softmax or sigmoid, since focal loss is computed from logits"
            raise check.SettingError(check.sentence("activation", expected, "'linear'"))
        ignored = getattr(loss, "ignore_class", None)
        if ignored is not None and (objective.class_weights or objective.smoothing):
            remedy = "Give that class the weight 0"
            raise check.SettingError(check.sentence("loss", "one without ignore_class", f"{ignored}", remedy))
    if not objective.smoothing:
        return
    smoothed = [loss for loss in found if losses.smooths(loss, objective.activation)]
    if not smoothed:
        got = ", ".join(str(_described_one(loss)) for loss, _ in objective.pairs)
        expected = f"a cross-entropy or focal loss that goes with {objective.activation}"
        raise check.SettingError(check.sentence("smoothing", expected, got))
    if any(getattr(loss, "label_smoothing", 0) for loss in smoothed):
        expected = "a loss without label_smoothing of its own"
        raise check.SettingError(check.sentence("smoothing", expected, "both"))


def _resolved(loss: Any) -> Any:
    """A loss's name as a Keras loss or a Focal; anything else as it is."""
    if not isinstance(loss, str):
        return loss
    known = named.classes(keras.losses, keras.losses.Loss) | {"focal": Focal}
    return named.made("loss", loss, known, {})


def _made(objective: Objective, loss: Any) -> Any:
    """The loss with smoothing and class weights, where there are such, else Keras' own."""
    if not isinstance(loss, keras.losses.Loss | Focal):
        loss = named.function("loss", loss)
    of_shares = type(loss).__name__ == "CategoricalFocalCrossentropy" and objective.activation == "softmax"
    smoothing = objective.smoothing if losses.smooths(loss, objective.activation) else 0.0
    if objective.class_weights is None and not smoothing and not of_shares:
        return losses.keras_loss(loss, objective.activation)
    return Adapted(loss, objective.activation, Adjustment(objective.class_weights, smoothing))


def _of_maps(loss: Any) -> Any:
    if isinstance(loss, Focal):
        loss = "focal"
    if callable(loss):
        return named.function("loss", loss)
    raise check.SettingError(check.sentence("loss", "a function of (targets, feature maps) for a tap", repr(loss)))


def _described_loss(objective: Objective) -> Any:
    if isinstance(objective.loss, tuple):
        return [[_described_one(loss), weight] for loss, weight in objective.loss]
    return _described_one(objective.loss)


def _described_one(loss: Any) -> Any:
    return named.described(Focal() if isinstance(loss, str) and loss == "focal" else loss)


def _metric(metric: Any, objective: Objective) -> Any:
    made = metric
    if isinstance(metric, str):
        made = _named_metric(metric, objective)
    elif not isinstance(metric, keras.metrics.Metric):
        function = named.function("metrics", metric)
        made = keras.metrics.MeanMetricWrapper(function, name=named.name_of(metric))
    reads_logits = getattr(made, "from_logits", False) or getattr(made, "_from_logits", False)
    by_rank = objective.activation == "softmax" and type(made).__name__ in _BY_RANK
    if reads_logits or by_rank or objective.activation == "linear":
        return made
    return Activated(made, objective.activation)


def _named_metric(name: str, objective: Objective) -> Any:
    metrics = keras.metrics
    full = named.full(name)
    if full == "accuracy" and objective.activation != "linear":
        return _accuracy(objective)(name=name)
    classes = named.classes(metrics, metrics.Metric)
    for base in ("metric", "mean", "sum", "mean_metric_wrapper"):  # these do not compare two arrays
        classes.pop(base, None)
    reads_logits = {named.snake(kind) for kind in FROM_LOGITS[objective.activation]}
    settings = {"from_logits": True} if full in reads_logits else {}
    return named.made("metrics", name, classes, settings | {"name": name})


def _accuracy(objective: Objective) -> Any:
    """The kind of accuracy that fits the activation and the targets that the losses take."""
    if objective.activation == "sigmoid":
        return keras.metrics.BinaryAccuracy
    kinds = {type(_resolved(loss)).__name__ for loss, _ in objective.pairs}
    if kinds & _ONE_HOT_LOSSES:
        return keras.metrics.CategoricalAccuracy
    return ClassAccuracy if kinds & _EITHER_LOSSES else keras.metrics.SparseCategoricalAccuracy
