"""Autoencoders for digits of 28 pixels, dense and convolutional.

The dense one narrows to a code of 32 numbers in three layers and widens again in three (the stack of Hinton &
Salakhutdinov 2006, Figure 1, without its layer-wise pretraining); the convolutional one halves the sides twice with
strided convolutions, and doubles them with transposed ones.
"""

from __future__ import annotations

from lensmith.compose.blocks import Conv
from lensmith.compose.learners import Autoencoder
from lensmith.compose.parts import Dense, Flatten, Group, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Reconstruct
from lensmith.compose.zoo.family import Family

DENSE_CODE = Recipe(
    input=(28, 28, 1),
    stem=Flatten(),
    learner=Autoencoder(Dense((128, 64, 32)), (64, 128)),
    tasks={"image": Reconstruct("cross-entropy")},
)
CONV_CODE = Recipe(
    input=(28, 28, 1),
    stem=None,
    learner=Autoencoder(Groups(*(Group(Conv(), filters=filters, stride=2) for filters in (32, 64))), (64, 32)),
    tasks={"image": Reconstruct("cross-entropy")},
)

AUTOENCODER = Family(
    name="Autoencoder",
    origin="Hinton & Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks",
    convention="a bias in every layer",
    recipes={"autoencoder-dense": DENSE_CODE, "autoencoder-conv": CONV_CODE},
)
