"""Local response normalisation (Krizhevsky et al. 2012, Section 3.3), which Keras has no layer for.

A saved model that has this layer can be loaded wherever Lensmith is imported; all others need Keras alone.
"""

from __future__ import annotations

from typing import Any

from lensmith import check
from lensmith.backend import keras

Tensor = Any


@keras.saving.register_keras_serializable("lensmith")
class LocalResponseNormalization(keras.layers.Layer):  # type: ignore[misc]
    """Each number divided by a power of the squares in its pixel's neighbouring channels.

    ``y[i] = x[i] / (bias + alpha · Σ x[j]²) ** beta``, the sum over the ``size`` channels around ``i``, as far as
    they exist. Frameworks differ here: Caffe and torch divide ``alpha`` by ``size``, the paper and this layer do not.

    Args:
        size: how many channels, an odd number.
        alpha, beta, bias: of the formula; the paper calls the bias k.

    Shapes:
        ``(batch, …, channels)`` in and out.

    Raises:
        SettingError: the size is not odd.
    """

    def __init__(
        self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, bias: float = 2.0, **options: Any
    ) -> None:
        super().__init__(**options)
        if check.positive("local-response.size", size) % 2 == 0:
            raise check.SettingError(check.sentence("local-response.size", "an odd number of channels", size))
        self.size, self.alpha, self.beta, self.bias = size, alpha, beta, bias

    def call(self, inputs: Tensor) -> Tensor:
        ops = keras.ops
        # Squares of activations leave the range of float16.
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        channels, half = x.shape[-1], self.size // 2
        squares = ops.pad(ops.square(x), [(0, 0)] * (len(x.shape) - 1) + [(half, half)])
        total = sum(squares[..., i : i + channels] for i in range(self.size))
        return ops.cast(x * ops.power(self.bias + self.alpha * total, -self.beta), inputs.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {"size": self.size, "alpha": self.alpha, "beta": self.beta, "bias": self.bias}
        return {**super().get_config(), **own}
