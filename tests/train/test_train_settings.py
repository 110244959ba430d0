"""Settings are refused before the first step, in one line that names the field and the nearest name."""

from pathlib import Path

import numpy as np
import pytest
from train_digits import CLASSES, Arrays, Killer, dense, digits

from lensmith import check
from lensmith.backend import keras
from lensmith.train import (
    Constant,
    Cosine,
    Draw,
    Exponential,
    Fit,
    Linear,
    Objective,
    Patience,
    Plateau,
    Step,
    Time,
    Warmup,
    check_stage,
    evaluate,
    fit,
)
from lensmith.train.compiled import Task, fitted
from lensmith.train.monitor import Monitor, monitors
from lensmith.train.objective import Activated, direction, loss_of, metrics_of
from lensmith.train.optimizers import build
from lensmith.train.schedules import Ramp


def never() -> None:
    raise AssertionError("a step was made")


def refused(objective: Objective = CLASSES, stage: Fit | None = None, **changes: object) -> str:
    """The message of a training that is refused before its first step."""
    stage = stage or Fit(epochs=1)
    arguments = {"batches": digits(0, 64), "objectives": {"digit": objective}, "validation": None} | changes
    with pytest.raises((check.SettingError, check.DataError)) as caught:
        fit(arguments.pop("model", None) or dense(), stage=stage, progress=Killer(1, never), **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


RECORDS = [
    (lambda: Fit(epochs=0), "epochs: expected a whole number of at least 1; got 0"),
    (lambda: Fit(rate=-1.0), "rate: expected a number from 0 to inf; got -1.0"),
    (lambda: Fit(keep=0), "keep: expected a whole number"),
    (lambda: Fit(checkpoint_every=0), "checkpoint_every: expected a whole number"),
    (lambda: Fit(mode="down"), "mode: expected one of auto, min, max; got 'down'"),
    (lambda: Fit(schedule="cosine"), "schedule: expected a schedule such as Constant() or Cosine(); got 'cosine'"),
    (lambda: Cosine(final=2.0), "schedule.final: expected a number from 0 to 1"),
    (lambda: Cosine(restarts=1.5), "schedule.restarts: expected a whole number from 0 to 100; got 1.5"),
    (lambda: Cosine(growth=0.5), "schedule.growth: expected a number from 1 to 100"),
    (lambda: Cosine(by="batch"), "schedule.by: expected one of epoch, step; got 'batch'"),
    (lambda: Step(every=0), "schedule.every: expected a whole number of at least 1"),
    (lambda: Step(decay=1.5), "schedule.decay: expected a number from 0 to 1"),
    (lambda: Linear(-0.1), "schedule.decay: expected a number from 0 to inf"),
    (lambda: Time(0.1, by="steps"), "Did you mean 'step'?"),
    (lambda: Exponential(-1.0), "schedule.decay: expected a number from 0 to inf"),
    (lambda: Plateau(factor=1.0), "schedule.factor: expected a number between 0 and 1; got 1.0"),
    (lambda: Plateau(patience=0), "schedule.patience: expected a whole number of at least 1"),
    (lambda: Ramp(most=0), "warmup.most: expected a whole number of at least 1"),
    (lambda: Fit(accumulate=0), "accumulate: expected a whole number of at least 1"),
    (lambda: Fit(average=1.0), "average: expected a number from 0 to below 1; got 1.0"),
    (lambda: Fit(epochs=2, warmup=3), "warmup: expected a number from 0 to 2; got 3"),
    (lambda: Warmup(epochs=0), "epochs: expected a whole number of at least 1"),
    (lambda: Warmup(rate=-1.0), "rate: expected a number from 0"),
    (lambda: Draw(draws=1), "draws: expected a whole number of at least 2; got 1"),
    (lambda: Draw(draws=2.5), "draws: expected a whole number of at least 2; got 2.5"),
    (lambda: Draw(steps=0), "steps: expected a whole number of at least 1"),
    (lambda: Patience(patience=0), "stop.patience: expected a whole number"),
    (lambda: Patience(min_delta=-1.0), "stop.min_delta: expected a number"),
    (lambda: Patience(mode="less"), "stop.mode: expected one of"),
    (lambda: Objective("mse", activation="sofmax"), "Did you mean 'softmax'?"),
    (lambda: Objective("mse", weight=-0.5), "weight: expected a number"),
]


@pytest.mark.parametrize(("make", "message"), RECORDS, ids=lambda value: value if isinstance(value, str) else "")
def test_records_refuse(make, message: str) -> None:
    with pytest.raises(check.SettingError) as caught:
        make()
    assert message in str(caught.value)


def test_a_stage_as_plain_values() -> None:
    stage = Fit(optimizer={"name": "sgd", "momentum": 0.9}, schedule=Cosine(0.1), stop=Patience("val_accuracy"))
    values = stage.to_dict()
    assert values["optimizer"] == {"name": "sgd", "momentum": 0.9}
    cosine = {"name": "cosine", "final": 0.1, "restarts": 0, "growth": 1.0, "shrink": 1.0, "by": "step"}
    assert values["schedule"] == cosine
    assert values["stop"] == {"monitor": "val_accuracy", "patience": 5, "min_delta": 0.0, "mode": "auto"}
    assert Fit(schedule=Constant()).to_dict()["schedule"] == {"name": "constant"}


UNKNOWN = [
    ({"stage": Fit(optimizer="adan")}, "Did you mean 'adam'?"),
    ({"stage": Fit(optimizer={"momentum": 0.9})}, "optimizer: expected one of"),
    ({"stage": Fit(optimizer={"name": "sgd", "momentun": 0.9})}, "optimizer.sgd: expected one of"),
    ({"stage": Fit(optimizer={"name": "sgd", "momentun": 0.9})}, "Did you mean 'momentum'?"),
    (
        {"stage": Fit(optimizer={"name": "sgd", "learning_rate": 0.9})},
        "got learning_rate. Set rate of the stage instead",
    ),
    ({"stage": Fit(optimizer={"name": "adam", "use_ema": True})}, "got use_ema. Set average of the stage instead"),
    (
        {"stage": Fit(optimizer={"name": "adam", "gradient_accumulation_steps": 2})},
        "got gradient_accumulation_steps. Set accumulate of the stage instead",
    ),
    (
        {"stage": Fit(optimizer={"name": "adam", "clipnorm": 1.0, "clipvalue": 0.5})},
        "expected one of clipnorm, clipvalue, global_clipnorm; got clipnorm and clipvalue. Leave one out",
    ),
    (
        {"stage": Fit(optimizer={"name": "adam", "clipnorm": 0})},
        "optimizer.adam.clipnorm: expected a number above 0; got 0",
    ),
    (
        {"stage": Fit(optimizer={"name": "adam", "weight_decay": -0.1})},
        "optimizer.adam.weight_decay: expected a number from 0 to inf; got -0.1",
    ),
    ({"stage": Fit(schedule=Plateau(monitor="acuracy"))}, "schedule.monitor: expected one of loss, accuracy"),
    ({"stage": Fit(optimizer={"name": "sgd", "momentum": 7.0})}, "optimizer.sgd: `momentum` must be"),
    ({"objective": Objective("sparse_categorical_crosentropy")}, "Did you mean 'sparse_categorical_crossentropy'?"),
    ({"objective": Objective(3)}, "loss: expected a name, a Keras object or a function of (y_true, y_pred); got 3"),
    ({"objective": Objective("mse", ("acuracy",), "softmax")}, "Did you mean 'accuracy'?"),
    ({"objective": Objective("mse", ("mean",))}, "metrics: expected one of"),
    ({"objective": Objective("mse", ("mae", "mae"))}, "metrics: the name 'mae' stands twice; rename one of the two"),
    ({"objective": Objective("mse", (7,))}, "metrics: expected a name, a Keras object or a function"),
    (
        {"objective": Objective("mse", ("mean_io_u",))},
        "metrics: expected a keras.metrics.MeanIoU object made with num_classes",
    ),
    ({"stage": Fit(monitor="val_acuracy"), "validation": digits(0, 32)}, "Did you mean 'val_accuracy'?"),
    ({"stage": Fit(monitor="val_accuracy")}, "monitor: expected one of loss, accuracy; got 'val_accuracy'"),
    ({"stage": Fit(stop=Patience("aucc"))}, "stop.monitor: expected one of loss, accuracy; got 'aucc'"),
    ({"objectives": {}}, "objectives: expected one objective for a model with one output"),
    ({"objectives": {"a": CLASSES, "b": CLASSES}}, "objectives: expected one objective for a model with one output"),
    ({"batches": digits(0, 0)}, "the training part has no batches"),
]


@pytest.mark.parametrize(("changes", "message"), UNKNOWN, ids=[message for _, message in UNKNOWN])
def test_refused_before_the_first_step(changes: dict, message: str) -> None:
    assert message in refused(**changes)


# Of the above, what needs neither a model nor batches to be refused.
FORESEEN = [(changes, message) for changes, message in UNKNOWN if not changes.keys() & {"objectives", "batches"}]


@pytest.mark.parametrize(("changes", "message"), FORESEEN, ids=[message for _, message in FORESEEN])
def test_refused_before_anything_begins(changes: dict, message: str) -> None:
    stage, objective = changes.get("stage", Fit(epochs=1)), changes.get("objective", CLASSES)
    with pytest.raises(check.SettingError) as caught:
        check_stage(stage, {"digit": objective}, validated="validation" in changes)
    assert message in str(caught.value)
    assert str(caught.value) == refused(**changes), "the same as when it begins"


def test_a_stage_that_fits_is_not_refused() -> None:
    check_stage(Fit(), {"digit": CLASSES}, validated=False)
    stage = Fit(monitor="val_b_loss", stop=Patience("a_accuracy"))
    check_stage(stage, {"a": CLASSES, "b": CLASSES}, validated=True)
    with pytest.raises(check.SettingError, match=r"^monitor: expected one of"):
        check_stage(stage, {"a": CLASSES, "b": CLASSES}, validated=False)


def test_a_refused_stage_writes_nothing(tmp_path: Path) -> None:
    refused(stage=Fit(epochs=1, stop=Patience("aucc")), folder=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_the_stage_when_nothing_is_said() -> None:
    assert (Fit().epochs, Fit().schedule) == (20, Cosine())


def test_objectives_must_be_the_tasks_of_the_model() -> None:
    start = keras.Input((64,))
    model = keras.Model(start, {name: keras.layers.Dense(10, name=name)(start) for name in ("digit", "shade")})
    message = refused(model=model)
    assert message == "objectives: expected one for each of the model's outputs, digit, shade; got digit"


def test_a_monitor_whose_direction_nobody_knows_needs_a_mode() -> None:
    def oddity(y_true, y_pred):
        return keras.ops.mean(y_pred, axis=-1)

    objective = Objective("sparse_categorical_crossentropy", (oddity,), "softmax")
    message = refused(objective, Fit(monitor="oddity"))
    assert message.startswith("mode: expected mode 'min' or 'max', as nothing says whether less or more of 'oddity'")
    message = refused(objective, Fit(stop=Patience("oddity")))
    assert message.startswith("stop.mode: expected mode 'min' or 'max'")
    stage = Fit(epochs=2, monitor="oddity", mode="max")
    history = fit(dense(), digits(0, 64), stage=stage, objectives={"digit": objective})
    assert history.monitor == "oddity" and history.best is not None
    assert history.best.value == max(history["oddity"])


def test_val_loss_means_loss_where_there_is_no_validation() -> None:
    best, stop = monitors(Fit(stop=Patience("val_loss")), {"loss": "min", "f": None}, validated=False)
    assert best == stop == Monitor("loss", "min")
    best, stop = monitors(Fit(stop=Patience("f", mode="max")), {"loss": "min", "f": None}, validated=True)
    assert (best, stop) == (Monitor("val_loss", "min"), Monitor("f", "max"))


IMPROVES = [
    ("min", 0.9, 1.0, 0.0, True),
    ("min", 1.0, 1.0, 0.0, False),  # equal is no improvement
    ("min", 0.9, 1.0, 0.2, False),  # less than the delta is none
    ("min", 0.7, 1.0, 0.2, True),
    ("max", 1.1, 1.0, 0.0, True),
    ("max", 1.1, 1.0, 0.2, False),
    ("max", 0.9, 1.0, 0.0, False),
    ("max", 0.9, None, 0.0, True),  # the first is always one
    ("max", None, 1.0, 0.0, False),  # what is no number never is
]


@pytest.mark.parametrize(("way", "value", "on", "by", "expected"), IMPROVES)
def test_improves(way, value, on, by, expected) -> None:
    assert Monitor("x", way).improves(value, on=on, by=by) is expected


def test_losses_read_logits_where_they_can() -> None:
    logits = np.array([[40.0, -40.0], [0.3, -0.2]], "float32")
    labels = np.array([1, 0])
    # -log softmax: 80 for the first row, which probabilities in float32 could not tell; log(1 + e^-0.5) for the other.
    loss = loss_of(Objective("sparse_categorical_crossentropy", activation="softmax"))
    expected = (80 + np.log1p(np.exp(-0.5))) / 2
    assert float(loss(labels, logits)) == pytest.approx(expected, rel=1e-6)
    # Settings of an object stay.
    smooth = keras.losses.CategoricalCrossentropy(label_smoothing=0.2)
    made = loss_of(Objective(smooth, activation="softmax"))
    assert made.from_logits and made.label_smoothing == 0.2 and not smooth.from_logits


def test_other_losses_see_activated_outputs() -> None:
    logits = np.array([[2.0], [0.0]], "float32")
    targets = np.array([[1.0], [0.0]], "float32")
    sigmoid = 1 / (1 + np.exp(-logits))
    for loss in ("mse", keras.losses.MeanSquaredError()):
        made = loss_of(Objective(loss, activation="sigmoid"))
        assert float(made(targets, logits)) == pytest.approx(np.mean((sigmoid - targets) ** 2), rel=1e-6)
    # The loss that undoes a sigmoid does not fit a softmax: it too sees probabilities.
    made = loss_of(Objective("binary_crossentropy", activation="softmax"))
    assert not hasattr(made, "from_logits")


def test_metrics_read_logits_where_they_can() -> None:
    softmax = Objective("sparse_categorical_crossentropy", ("accuracy", "sparse_categorical_crossentropy"), "softmax")
    accuracy, crossentropy = metrics_of(softmax)
    assert type(accuracy) is keras.metrics.SparseCategoricalAccuracy
    assert crossentropy.from_logits
    one_hot = Objective("categorical_crossentropy", ("acc",), "softmax")
    assert type(metrics_of(one_hot)[0]) is keras.metrics.CategoricalAccuracy and metrics_of(one_hot)[0].name == "acc"
    sigmoid = Objective("binary_crossentropy", ("accuracy", "auc", "recall"), "sigmoid")
    accuracy, auc, recall = metrics_of(sigmoid)
    assert type(accuracy) is Activated and type(accuracy.metric) is keras.metrics.BinaryAccuracy
    assert type(auc) is keras.metrics.AUC
    assert type(recall) is Activated and recall.name == "recall" and direction(recall) == "max"
    linear = Objective("mse", ("mae", keras.metrics.RootMeanSquaredError(name="off")))
    assert [metric.name for metric in metrics_of(linear)] == ["mae", "off"]
    assert [direction(metric) for metric in metrics_of(linear)] == ["min", "min"]


def test_a_wrapped_metric_forgets_and_remembers() -> None:
    metric = Activated(keras.metrics.Precision(), "sigmoid")
    metric.update_state(np.array([[1.0], [0.0]]), np.array([[3.0], [-3.0]]))
    assert float(metric.result()) == 1.0
    assert len(metric.variables) == 2  # its inner metric's are part of a checkpoint
    metric.reset_state()
    assert float(metric.result()) == 0.0


CLASS, BINARY, MULTI = Task((10,), "softmax", ""), Task((1,), "sigmoid", ""), Task((3,), "sigmoid", "")
LABELS = [
    (CLASS, np.array([0, 9]), None),
    (CLASS, np.array([0, 10]), "here: expected classes 0 to 9, as the model has 10; got 10"),
    (CLASS, np.array([-1, 3]), "got -1"),
    (CLASS, np.array([[0], [9]]), "here: expected targets of shape (n,); got (2, 1)"),
    (CLASS, np.eye(10, dtype="float32"), None),  # one-hot, for the losses that want it
    (CLASS, np.eye(9, dtype="float32"), "expected targets of shape (n, 10); got (9, 9)"),
    (BINARY, np.array([0, 1]), None),
    (BINARY, np.array([0, 2]), "here: expected classes 0 and 1; got 2"),
    (MULTI, np.ones((2, 3), "float32"), None),
    (MULTI, np.ones((2, 4), "float32"), "expected targets of shape (n, 3); got (2, 4)"),
    (Task((None, None, 5), "softmax", ""), np.full((2, 4, 4), 4), None),  # a mask
    (Task((None, None, 5), "softmax", ""), np.full((2, 4, 4), 5), "expected classes 0 to 4"),
]


@pytest.mark.parametrize(("task", "y", "message"), LABELS)
def test_labels_must_fit_the_head(task: Task, y: np.ndarray, message: str | None) -> None:
    if message is None:
        assert fitted({"t": task}, y, "here").shape[0] == len(y)
        return
    with pytest.raises(check.DataError) as caught:
        fitted({"t": task}, y, "here")
    assert message in str(caught.value)


def test_binary_labels_become_a_column() -> None:
    assert fitted({"t": BINARY}, np.array([0, 1, 1]), "here").shape == (3, 1)


def test_targets_must_name_the_tasks() -> None:
    tasks = {"a": Task((2,), "linear", "a"), "b": Task((1,), "sigmoid", "b")}
    with pytest.raises(check.DataError, match="here: expected targets for a, b; got targets for a"):
        fitted(tasks, {"a": np.zeros((1, 2))}, "here")
    with pytest.raises(check.DataError, match="expected targets for a, b; got one array"):
        fitted(tasks, np.zeros((1, 2)), "here")
    with pytest.raises(check.DataError, match="here, task b: expected classes 0 and 1; got 7"):
        fitted(tasks, {"a": np.zeros((1, 2)), "b": np.array([7])}, "here")


def test_a_label_outside_the_range_is_named_with_its_batch() -> None:
    batches = digits(0, 96, seed=None)
    batches.y[40] = 10
    with pytest.raises(check.DataError, match=r"^epoch 1, step 2: expected classes 0 to 9"):
        fit(dense(), batches, stage=Fit(epochs=1), objectives={"digit": CLASSES})
    with pytest.raises(check.DataError, match=r"^evaluation: expected classes 0 to 9"):
        evaluate(dense(), batches, {"digit": CLASSES})


def test_a_metric_that_is_no_single_number_is_refused() -> None:
    start = keras.Input((64,))
    model = keras.Model(start, keras.layers.Dense(3)(start))
    batches = Arrays(digits(0, 32).x, np.ones((32, 3), "float32"))
    message = refused(Objective("mse", ("f1_score",)), model=model, batches=batches)
    assert message.startswith("metrics: f1_score: expected one number; got an array of shape (3,)")


def test_a_loss_that_cannot_work_is_refused_in_one_line() -> None:
    def strange(y_true, y_pred):
        raise ValueError("no\nsuch thing")

    message = refused(Objective(strange))
    assert "do not fit the first batch" in message or "expected targets of shape" in message


def test_batches_shorter_than_their_length_are_an_error() -> None:
    class Short(Arrays):
        def __len__(self) -> int:
            return 5

    batches = Short(digits(0, 64).x, digits(0, 64).y)
    with pytest.raises(check.DataError, match="epoch 1, step 3: expected 5 batches an epoch"):
        fit(dense(), batches, stage=Fit(epochs=1), objectives={"digit": CLASSES})


def test_nothing_to_evaluate_on() -> None:
    with pytest.raises(check.DataError, match="evaluation: there are no batches"):
        evaluate(dense(), digits(0, 0), {"digit": CLASSES})


def test_the_rate_reaches_the_optimizer() -> None:
    optimizer = build(Fit(optimizer="SGD", rate=0.25))
    assert float(optimizer.learning_rate) == 0.25
    optimizer = build(Fit(rate=0.25, schedule=Cosine()))
    assert float(optimizer.learning_rate) == 0.25
