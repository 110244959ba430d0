"""The Siamese network for digits, beside the table: a :class:`lensmith.compose.Twin` is no recipe of one input.

Koch, Zemel & Salakhutdinov 2015, Siamese Neural Networks for One-shot Image Recognition, at the size of the bundled
digits.
"""

from __future__ import annotations

from lensmith.compose.blocks import Conv
from lensmith.compose.parts import Group, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Regress
from lensmith.compose.twin import Twin

SIAMESE_DIGITS = Twin(
    Recipe(
        input=(8, 8, 1),
        stem=None,
        learner=Groups(Group(Conv(), filters=(16, 32), pool=2), Group(Conv(), filters=64)),
        tasks={"embedding": Regress(32, pool="flatten")},
    ),
    distance="l1",
)
