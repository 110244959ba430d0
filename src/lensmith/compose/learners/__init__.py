"""Learners beside the plain ones: an encoder and a decoder, and a graph of numbered layers."""

from __future__ import annotations

from lensmith.compose.learners.autoencoder import Autoencoder
from lensmith.compose.learners.layer_graph import LayerGraph
from lensmith.compose.learners.unet import UNet
from lensmith.compose.parts import Learner as OneWay

Learner = OneWay | UNet | Autoencoder | LayerGraph

__all__ = ["Autoencoder", "LayerGraph", "Learner", "UNet"]
