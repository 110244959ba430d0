"""Autoencoders: a learner that squeezes its input into a code and spreads it out again.

Rumelhart, Hinton & Williams 1986, Learning Internal Representations by Error Propagation; Hinton & Salakhutdinov 2006,
Reducing the Dimensionality of Data with Neural Networks. The head is :class:`lensmith.compose.Reconstruct`.
"""

from __future__ import annotations

from dataclasses import dataclass

from lensmith import check
from lensmith.compose.layers import Maker, Tensor, check_activation, check_widths
from lensmith.compose.parts import Dense, Groups


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """An encoder, whose last output is the code, and a decoder of layers named ``decoder-…``.

    ``compose.encoding(model)`` is the view that gives the code.

    Args:
        encoder: ``Groups`` for images or ``Dense`` for rows.
        decoder: the layers after it: after ``Groups`` the filters of transposed convolutions, each of which doubles
            the sides of its feature maps; after ``Dense`` the widths of fully connected layers. Empty for none.
        kernel: side of the window of the transposed convolutions.
        activation: after each layer of the decoder.

    >>> Autoencoder(Dense((128, 32)), (128,)).decoder
    (128,)
    """

    encoder: Groups | Dense
    decoder: tuple[int, ...] = ()
    kernel: int = 3
    activation: str = "relu"

    def __post_init__(self) -> None:
        if not isinstance(self.encoder, Groups | Dense):
            raise check.SettingError(check.sentence("autoencoder.encoder", "Groups or Dense", repr(self.encoder)))
        object.__setattr__(self, "decoder", check_widths("autoencoder.decoder", self.decoder))
        check.positive("autoencoder.kernel", self.kernel)
        check_activation("autoencoder.activation", self.activation)

    def build(self, x: Tensor, make: Maker) -> Tensor:
        """Add the layers.

        Args:
            x: images for ``Groups``, rows for ``Dense``.
            make: makes the layers.

        Returns:
            Feature maps, or ``(batch, features)``.

        Raises:
            SettingError: the encoder does not fit its input.
        """
        x = self.encoder.build(x, make)
        for i, width in enumerate(self.decoder, start=1):
            x = self._layer(x, make, i, width)
            x = make.activation(x, f"decoder-activation{i}", self.activation)
        return x

    def _layer(self, x: Tensor, make: Maker, number: int, width: int) -> Tensor:
        if isinstance(self.encoder, Dense):
            return make.dense(x, f"decoder-dense{number}", width)
        return make.transposed(x, f"decoder-up{number}", width, self.kernel, stride=2, bias=True)
