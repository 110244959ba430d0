"""A model made ready to train: its losses, metrics and optimizer, and one step on any backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lensmith import check
from lensmith.backend import keras
from lensmith.train import measures, optimizers
from lensmith.train.history import number
from lensmith.train.losses import fits_head
from lensmith.train.monitor import monitors
from lensmith.train.objective import Objective, direction, loss_of, metrics_of
from lensmith.train.stages import Fit
from lensmith.train.targets import Targets, Task, fitted

__all__ = ["Compiled", "Step", "Targets", "Task", "Values", "check_stage", "compiled", "fitted"]

Values = Mapping[str, Any]  # scalars by name, still on the device
Step = Callable[[Any, Targets], Values]


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A compiled model and how to move it on by one batch.

    Args:
        model: the ``keras.Model``.
        tasks: what to expect of the targets, by task.
        directions: the names of the values that a step gives, and whether less (``min``) or more
            (``max``) is better; None where nobody knows.
        build: to be called with a batch before ``train`` or ``test``: makes the variables of losses and
            metrics. Raises SettingError where these cannot work on such targets and outputs.
        train: makes one training step and returns the means over the epoch so far.
        test: measures one batch without learning and returns the means so far.
        names: what Keras calls a value, and what we call it, where the two differ.
        measured: the names of the values that measures give of the validation, and which way is better.
        objectives: what it was compiled for.
    """

    model: Any
    tasks: Mapping[str, Task]
    directions: Mapping[str, Literal["min", "max"] | None]
    build: Step
    train: Step
    test: Step
    names: Mapping[str, str]
    measured: Mapping[str, Literal["min", "max"]]
    objectives: Mapping[str, Objective]

    def floats(self, values: Values) -> dict[str, float]:
        """The values as numbers of Python. This waits for the device to finish the step."""
        given = {self.names.get(name, name): value for name, value in values.items()}
        return {name: number(given[name]) for name in self.directions}


def compiled(
    model: Any, objectives: Mapping[str, Objective], optimizer: Any = None, tasks: Sequence[str] | None = None
) -> Compiled:
    """Compile a model whose outputs are logits.

    Args:
        model: one output tensor for one objective, or a dict of them by task.
        objectives: by task; the same tasks as the model's.
        optimizer: a Keras optimizer, or None for a model that is only evaluated.
        tasks: those that the loss is the sum of; None is all.

    Raises:
        SettingError: the tasks differ, or a loss or metric is unknown.
    """
    outputs = _outputs(model, objectives)
    trained = _trained({task: objectives[task] for task in outputs}, tasks)
    for task, shape in outputs.items():
        _check_classes(task, objectives[task], shape[-1])
    losses = {task: loss_of(objectives[task]) for task in trained}
    metrics = {task: metrics_of(objectives[task]) for task in outputs}
    weights = {task: float(objectives[task].weight) for task in trained}
    several = isinstance(model.output, Mapping)
    only = next(iter(outputs))
    model.compile(
        optimizer=optimizer,
        loss=losses if several else losses[only],
        loss_weights=weights if several else weights[only],
        metrics=metrics if several else metrics[only],
    )
    if optimizer is not None:
        model.optimizer.build(model.trainable_variables)
    train, test = _STEPS[keras.config.backend()](model)
    return Compiled(
        model=model,
        tasks={task: _task(task, shape[1:], objectives[task], several=several) for task, shape in outputs.items()},
        directions=_directions(metrics, trained, several=several),
        build=_build_once(model),
        train=train,
        test=test,
        names=_names(model) if several else {},
        measured=measures.directions(objectives),
        objectives=objectives,
    )


def _task(name: str, shape: tuple[int | None, ...], objective: Objective, *, several: bool) -> Task:
    return Task(
        shape,
        objective.activation,
        name * several,
        objective.target or "",
        objective.tap,
        objective.weight,
        objective.shape,
    )


def _check_classes(task: str, objective: Objective, units: int | None) -> None:
    """Refuse class weights that do not fit the head."""
    if objective.class_weights is not None:
        fits_head(f"objectives.{task}.class_weights", objective.class_weights, objective.activation, units)


def check_stage(stage: Fit, objectives: Mapping[str, Objective], *, validated: bool) -> None:
    """Refuse what :func:`fit` would refuse of a stage and its objectives, without a model and before anything begins.

    Args:
        stage: its optimizer and its monitors are looked up.
        objectives: by task; their losses and metrics are looked up.
        validated: whether there will be validation.

    Raises:
        SettingError: an optimizer, a loss, a metric or a monitor is unknown.
    """
    optimizers.build(stage)
    for objective in objectives.values():
        loss_of(objective)
    metrics = {task: metrics_of(objective) for task, objective in objectives.items()}
    directions = _directions(metrics, _trained(objectives, stage.tasks), several=len(objectives) > 1)
    monitors(stage, directions, validated=validated, measured=measures.directions(objectives))


def _build_once(model: Any) -> Step:
    """A step that makes the variables Keras makes on the first batch, and changes none of the model's.

    Called again, it does nothing.
    """
    pending = [True]

    def build(x: Any, y: Any) -> Values:
        if pending:
            pending.clear()
            _build(model, x, y)
        return {}

    return build


def _build(model: Any, x: Any, y: Any) -> None:
    try:
        model.test_on_batch(x, y)
        results = model.get_metrics_result()
    except (ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        text = f"the model, its losses and its metrics do not fit the first batch: {reason}"
        raise check.SettingError(text) from error
    for name, value in results.items():
        if len(value.shape) > 0:
            got = f"an array of shape {tuple(value.shape)}"
            remedy = "Give the Keras metric object with a setting that averages"
            raise check.SettingError(check.sentence(f"metrics: {name}", "one number", got, remedy))


def _outputs(model: Any, objectives: Mapping[str, Objective]) -> dict[str, tuple[int | None, ...]]:
    """The shape of each of the model's outputs, by task, in the model's order."""
    if isinstance(model.output, Mapping):
        if set(model.output) != set(objectives):
            expected = f"one for each of the model's outputs, {', '.join(model.output)}"
            raise check.SettingError(check.sentence("objectives", expected, ", ".join(objectives) or "none"))
        return {task: tuple(tensor.shape) for task, tensor in model.output.items()}
    if isinstance(model.output, list | tuple) or len(objectives) != 1:
        expected = "one objective for a model with one output, or a model whose outputs are a dict by task"
        raise check.SettingError(check.sentence("objectives", expected, ", ".join(objectives) or "none"))
    return {task: tuple(model.output.shape) for task in objectives}


def _trained(objectives: Mapping[str, Objective], wanted: Sequence[str] | None) -> list[str]:
    """Those of the tasks that are wanted, in the model's order, each with the outputs that share its targets.

    A tap without targets belongs to no task, and is trained with each.
    """
    known = list(objectives)
    heads = [task for task, objective in objectives.items() if not objective.tap]
    if not heads:
        raise check.SettingError(check.sentence("objectives", "one of a task beside the taps", ", ".join(known)))
    for task, objective in objectives.items():
        if objective.target is not None:
            check.one_of(f"objectives.{task}.target", objective.target, heads)
    chosen = known if wanted is None else [check.one_of("tasks", task, known) for task in wanted]
    everyones = {task for task, objective in objectives.items() if objective.tap and objective.target is None}
    return [task for task in known if task in chosen or task in everyones or objectives[task].target in chosen]


def _directions(metrics: Mapping[str, list[Any]], trained: Sequence[str], *, several: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"loss": "min"}
    if several and len(trained) > 1:  # the loss of a single one is the whole loss
        found |= {f"{task}_loss": "min" for task in trained}
    for task, made in metrics.items():
        found |= {f"{task}_{metric.name}" if several else metric.name: direction(metric) for metric in made}
    return found


def _names(model: Any) -> dict[str, str]:
    """Keras names a task's loss after the layer it comes from; here it is named after the task."""
    tasks = keras.tree.flatten({task: task for task in model.output})
    return {f"{layer}_loss": f"{task}_loss" for layer, task in zip(model.output_names, tasks, strict=True)}


# One step on each backend, as `train_on_batch` and `test_on_batch` make it, but without their resetting
# the metrics and reading every value back from the device each time.


def _torch_steps(model: Any) -> tuple[Step, Step]:
    from lensmith.backend import steps

    return steps.steps(model)


def _tensorflow_steps(model: Any) -> tuple[Step, Step]:
    model.make_train_function()
    model.make_test_function()
    return (
        lambda x, y: model.train_function(iter([(x, y, None)])),
        lambda x, y: model.test_function(iter([(x, y, None)])),
    )


def _jax_steps(model: Any) -> tuple[Step, Step]:
    # A step on JAX is a function of the state, which is written back to the variables after it.
    groups = ("trainable_variables", "non_trainable_variables", "metrics_variables")
    training = ("trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables")
    model.make_train_function()
    model.make_test_function()

    def step(function: Any, names: tuple[str, ...], data: Any) -> Values:
        state = model._get_jax_state(**dict.fromkeys(names, True))
        model._jax_state_synced = False
        values, state = function(state, iter([data]))
        model._jax_state = dict(zip(names, state, strict=True))
        model.jax_state_sync()
        return values  # type: ignore[no-any-return]

    return (
        lambda x, y: step(model.train_function, training, (x, y, None)),
        lambda x, y: step(model.test_function, groups, (x, y, None)),
    )


_STEPS = {"torch": _torch_steps, "tensorflow": _tensorflow_steps, "jax": _jax_steps}
