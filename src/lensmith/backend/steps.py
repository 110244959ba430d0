"""A step of training, of measuring and of predicting on torch: what Keras' own steps do, without what they waste.

Where a model is small, Keras spends most of a step on asking what it was given. What does not change from step to step
is asked once here, and what is usual is then computed by the very operations of torch that Keras would come to: the
values, the weights and the variables of metrics are Keras' to the bit. Whatever is unusual goes Keras' way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch.nn import functional

from lensmith import check
from lensmith.backend import graph, load, native

keras = load()

Tensor = Any  # a torch.Tensor
Step = Callable[[Any, Any], Mapping[str, Any]]
Loss = Callable[[Tensor, Tensor], Tensor | None]  # of targets and outputs; None where they are unusual

# Parameters times examples up to which a step is made on one thread. A step of 32 on a head 256-256-2 is half of that
# and takes less than a millisecond; where other programs are at work, waiting for the second thread takes many.
_ONE_THREAD = 4_000_000

_forwards: WeakKeyDictionary[Any, graph.Forward] = WeakKeyDictionary()


def forward(model: Any) -> graph.Forward:
    """What :func:`lensmith.backend.graph.forward` makes, once for each model."""
    if model not in _forwards:
        _forwards[model] = graph.forward(model)
    return _forwards[model]


def steps(model: Any) -> tuple[Step, Step]:
    """The training step and the measuring step of a compiled model, as ``keras.Model.train_step`` makes them.

    Each is given a batch and returns the means of loss and metrics so far. Which weights are trained is looked up
    here, once.
    """
    weights = model.trainable_weights
    chain = _chain(model)
    run = graph.forward(model) if chain is None else chain
    # A layer may add to the loss; those of a chain do not.
    loss_of = _loss(model) if chain is not None else None
    made: list[tuple[_Means, Callable[[list[Tensor]], None]]] = []

    def ready() -> tuple[_Means, Callable[[list[Tensor]], None]]:
        if not made:  # the variables of metrics exist from the first batch on
            made.append((_Means(model), _update(model.optimizer, weights)))
        return made[0]

    def measured(x: Any, y: Any, outputs: Any, *, training: bool) -> Any:
        loss = None if loss_of is None else loss_of(y, outputs)
        if loss is None:
            loss = model._compute_loss(x=x, y=y, y_pred=outputs, sample_weight=None, training=training)
        _add_to_mean(model._loss_tracker, loss.detach(), _count(x))
        return loss

    def train(x: Any, y: Any) -> Mapping[str, Any]:
        if not model.training:  # switching visits every layer
            model.train()
        y = _tensors(y)
        outputs = run(x, True)
        for weight in weights:
            weight.value.grad = None
        loss = model.optimizer.scale_loss(measured(x, y, outputs, training=True))
        if not loss.requires_grad:
            expected = "a loss that is computed from the model's outputs"
            raise check.SettingError(check.sentence("loss", expected, "one that no weight changes"))
        loss.backward()
        means, update = ready()
        with torch.no_grad():
            update([weight.value.grad for weight in weights])
            return means.after(x, y, outputs)

    def test(x: Any, y: Any) -> Mapping[str, Any]:
        if model.training:
            model.eval()
        y = _tensors(y)
        with torch.no_grad():
            outputs = run(x, False)
            measured(x, y, outputs, training=False)
            return ready()[0].after(x, y, outputs)

    if chain is None:
        return train, test
    parameters = sum(weight.value.numel() for weight in model.weights)
    return _on_few_threads(train, parameters), _on_few_threads(test, parameters)


def _on_few_threads(step: Step, parameters: int) -> Step:
    """The step on one thread where it is small, which follows from the shapes alone."""

    def run(x: Any, y: Any) -> Mapping[str, Any]:
        with _one_thread() if parameters * _count(x) <= _ONE_THREAD else contextlib.nullcontext():
            return step(x, y)

    return run


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def predict(model: Any, x: Any) -> Any:
    """The outputs of a model for one batch as arrays, as ``model.predict_on_batch`` gives them."""
    with torch.inference_mode():
        outputs = forward(model)(x, False)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def _tensors(y: Any) -> Any:
    """Targets as tensors of their own type, so that they are brought to the device once."""
    if isinstance(y, Mapping):
        return {name: keras.ops.convert_to_tensor(values) for name, values in y.items()}
    return keras.ops.convert_to_tensor(y)


def _count(x: Any) -> int:
    first = next(iter(x.values())) if isinstance(x, Mapping) else x
    return int(first.shape[0])


# --- models that are a chain of layers, such as heads --------------------------------------------------------------


def _chain(model: Any) -> graph.Forward | None:
    """What :func:`graph.forward` makes, for a model of a few dense layers one after the other; None for any other."""
    layers = _in_line(model)
    if layers is None or model.inputs[0].dtype != "float32" or native.hooked(model) or native.special(model):
        return None
    shape = tuple(model.inputs[0].shape[1:])
    usual = graph.forward(model)

    def run(x: Any, training: bool) -> Tensor:
        if isinstance(x, Mapping) or tuple(x.shape[1:]) != shape or any(map(native.hooked, layers)):
            return usual(x, training)
        x = keras.ops.convert_to_tensor(x, dtype="float32")
        for layer in layers:
            if type(layer) is keras.layers.Dense:
                x = _dense(layer, x)
            else:  # one that was called with training=False in the graph is told all the same, as Keras does
                x = layer(x, training=training) if layer._call_has_context_arg.get("training") else layer(x)
        return x

    return run


def _in_line(model: Any) -> list[Any] | None:
    """The layers of a model in which each is called once, on what the one before gave; None where it is another."""
    by_depth = getattr(model, "_nodes_by_depth", None)
    if by_depth is None or len(model.inputs) != 1 or isinstance(model.output, Mapping | list | tuple):
        return None
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]
    before, layers = model.inputs[0], []
    for node in nodes:
        arguments = node.arguments
        alone = len(arguments.args) == 1 and arguments.args[0] is before and arguments.kwargs.keys() <= {"training"}
        if not alone or len(node.outputs) != 1 or not _is_plain(node.operation):
            return None
        before = node.outputs[0]
        layers.append(node.operation)
    return layers if layers and before is model.outputs[0] else None


def _is_plain(layer: Any) -> bool:
    """Whether it is one of the layers that heads are made of, and adds nothing to the loss."""
    if not isinstance(layer, keras.layers.Layer):
        return False
    if native.special(layer) or layer.compute_dtype != "float32" or any(_regularizers(layer)):
        return False
    if type(layer) is keras.layers.Dense:
        return not layer.lora_enabled and layer.quantization_mode is None
    return isinstance(layer, keras.layers.Dropout | keras.layers.Activation | keras.layers.ReLU | keras.layers.Flatten)


def _regularizers(layer: Any) -> list[Any]:
    return [weight.regularizer for weight in layer.weights if weight.regularizer is not None]


def _dense(layer: Any, x: Tensor) -> Tensor:
    """What Keras' Dense computes, in the same two operations."""
    x = torch.matmul(x, layer._kernel._value)
    if layer.bias is not None:
        x = x.add_(layer.bias._value)
    activation = layer.activation
    if activation is None or activation is keras.activations.linear:
        return x
    return torch.relu_(x) if activation is keras.activations.relu else activation(x)


# --- losses ----------------------------------------------------------------------------------------------------------


def _loss(model: Any) -> Loss | None:
    """The loss of a model with one output, without Keras' way to it; None where it is not one of the usual two."""
    loss, weight = model.loss, model._compile_loss and model._compile_loss._user_loss_weights
    if weight not in (None, 1.0) or getattr(loss, "reduction", None) != "sum_over_batch_size":
        return None
    if loss.dtype != "float32":
        return None
    settings = dict(getattr(loss, "_fn_kwargs", {}))
    for kind, usual, each in (
        (keras.losses.SparseCategoricalCrossentropy, {"ignore_class": None}, _softmax_loss),
        (keras.losses.BinaryCrossentropy, {"label_smoothing": 0.0}, _sigmoid_loss),
    ):
        if type(loss) is kind and settings == {"from_logits": True, "axis": -1, **usual}:
            return each
    return None


def _softmax_loss(y: Tensor, outputs: Tensor) -> Tensor | None:
    if y.ndim != 1 or outputs.ndim != 2 or outputs.dtype != torch.float32:
        return None
    return functional.cross_entropy(outputs, y.long(), reduction="none").sum() / len(y)


def _sigmoid_loss(y: Tensor, outputs: Tensor) -> Tensor | None:
    if y.shape != outputs.shape or outputs.ndim != 2 or outputs.dtype != torch.float32:
        return None
    each = functional.binary_cross_entropy_with_logits(outputs, y.float(), reduction="none")
    return each.mean(-1).sum() / len(y)


# --- means over the epoch --------------------------------------------------------------------------------------------


def _add_to_mean(metric: Any, value: Tensor, count: int) -> None:
    """What ``metric.update_state(value, sample_weight=count)`` does to the two variables of a mean."""
    metric.total._value.add_(value * count)
    metric.count._value.add_(count)


class _Means:
    """The values of all metrics of a model after a step.

    Args:
        model: compiled, and its metrics built.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        compiled = model._compile_metrics
        own = [] if compiled is None else compiled.metrics
        single = not isinstance(model.output, Mapping | list | tuple)
        known = [model._loss_tracker, *([] if compiled is None else [compiled])]
        named = [model._loss_tracker.name, *(metric.name for metric in own)]
        usual = single and [id(one) for one in model.metrics] == [id(one) for one in known]
        self._metrics = own if usual and list(model.get_metrics_result()) == named else None

    def after(self, x: Any, y: Any, outputs: Any) -> Mapping[str, Any]:
        """Take the outputs for a batch into account; gives the means so far."""
        if self._metrics is None:
            return self._model.compute_metrics(x, y, outputs, None)  # type: ignore[no-any-return]
        tracker = self._model._loss_tracker
        values = {tracker.name: tracker.total._value / tracker.count._value}
        for metric in self._metrics:
            if type(metric) is keras.metrics.SparseCategoricalAccuracy and y.ndim == 1 and outputs.ndim == 2:
                metric.total._value.add_((outputs.argmax(-1) == y).sum())
                metric.count._value.add_(len(y))
                values[metric.name] = metric.total._value / metric.count._value
            else:
                metric.update_state(y, outputs)
                values[metric.name] = metric.result()
        return values


# --- the optimizer ---------------------------------------------------------------------------------------------------


def _update(optimizer: Any, weights: list[Any]) -> Callable[[list[Tensor]], None]:
    """What ``optimizer.apply`` does: its update alone, where the settings leave nothing to do besides."""

    def whole(grads: list[Tensor]) -> None:
        optimizer.apply(grads, weights)

    if optimizer is None or not _only_updates(optimizer) or not all(map(_is_free, weights)):
        return whole

    def only(grads: list[Tensor]) -> None:
        if any(grad is None for grad in grads):
            return whole(grads)
        optimizer._backend_update_step(grads, weights, optimizer.learning_rate)
        optimizer._iterations._value.add_(1)
        return None

    return only


def _only_updates(optimizer: Any) -> bool:
    base = keras.optimizers.Optimizer
    own = any(
        getattr(type(optimizer), name) is not getattr(base, name) for name in ("apply", "_backend_apply_gradients")
    )
    extras = ("clipnorm", "global_clipnorm", "clipvalue", "weight_decay", "use_ema", "gradient_accumulation_steps")
    return (
        optimizer.built
        and not own
        and not any(getattr(optimizer, name, None) for name in extras)
        and (optimizer.loss_scale_factor is None)
    )


def _is_free(weight: Any) -> bool:
    return weight.constraint is None and not getattr(weight, "overwrite_with_gradient", False)
