"""DenseNet (Huang et al. 2017, Table 1): four dense blocks with transitions between them, bottlenecks and compression.

No bias in any convolution, since a batch normalisation follows each sooner or later. Epsilon and the momentum of the
moving averages are those of ``keras.applications``, whose numbers these are; torch's own are 1e-5 and 0.9.
"""

from __future__ import annotations

from lensmith import check
from lensmith.compose.blocks import DenseLayer, Transition
from lensmith.compose.layers import Conventions, check_widths
from lensmith.compose.parts import ConvStem, Group, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family

LAYERS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


def densenet(layers: tuple[int, ...], growth: int = 32, compression: float = 0.5, bottleneck: int | None = 4) -> Recipe:
    """DenseNet with this many layers in each dense block.

    Args:
        layers: of each dense block; every one but the last has a transition after it.
        growth: channels that each layer adds; the stem has twice as many.
        compression, bottleneck: see :class:`Transition` and :class:`DenseLayer`.

    Raises:
        SettingError: a setting is wrong; names it.
    """
    counts = check_widths("layers", layers)
    if not counts:
        raise check.SettingError(check.sentence("layers", "a number for each dense block", layers))
    between, groups = Group(Transition(compression)), []
    for count in counts:
        groups += [Group(DenseLayer(bottleneck), filters=growth, blocks=count), between]
    return Recipe(
        input=(224, 224, 3),
        stem=ConvStem(2 * growth, kernel=7, stride=2, pool=3),
        learner=Groups(*groups[:-1]),
        tasks={"label": Classify(1000)},
        conventions=Conventions(epsilon=1.001e-5, momentum=0.99),
    )


DENSENET = Family(
    name="DenseNet",
    origin="Huang et al. 2017, Densely Connected Convolutional Networks",
    convention="no bias in any convolution, as keras.applications",
    recipes={f"densenet{depth}": densenet(layers) for depth, layers in LAYERS.items()},
)
