"""Learners that make feature maps smaller and then larger again: an encoder and a decoder."""

from __future__ import annotations

from lensmith.compose.learners.autoencoder import Autoencoder
from lensmith.compose.learners.unet import UNet
from lensmith.compose.parts import Learner as OneWay

Learner = OneWay | UNet | Autoencoder

__all__ = ["Autoencoder", "Learner", "UNet"]
