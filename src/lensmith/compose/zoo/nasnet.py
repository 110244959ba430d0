"""NASNet-A (Zoph et al. 2018, Figure 4), as ``keras.applications`` has it.

``4 @ 1056`` and ``6 @ 4032``: so many normal cells in each of three groups, and so many channels in the end, 24 times
the filters of the first group. The paper's auxiliary classifier and its dropped paths are not part of the rows; their
numbers of parameters are the same without.
"""

from __future__ import annotations

from lensmith import check
from lensmith.compose.blocks import Step
from lensmith.compose.cells import CellGroup, Cells
from lensmith.compose.layers import Conventions
from lensmith.compose.parts import Steps
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family


def nasnet(cells: int, channels: int, *, stem: int, skip: bool, size: int) -> Recipe:
    """NASNet-A with ``cells`` normal cells in each of its three groups.

    Args:
        cells: N in the paper's ``N @ P``.
        channels: P there, those of the last feature maps; a multiple of 96, so that every width is whole.
        stem: filters of the first convolution.
        skip: whether the cell after a reduction reads, beside it, what came before the reduction's own input.
        size: height and width of the images.

    Raises:
        SettingError: ``channels`` is no multiple of 96, or another setting is none that the parts take.
    """
    if check.positive("nasnet.channels", channels) % 96:
        raise check.SettingError(check.sentence("nasnet.channels", "a multiple of 96", channels))
    filters = channels // 24
    return Recipe(
        input=(size, size, 3),
        stem=Steps(Step(stem, 3, 2, padding="valid", activation="linear")),
        learner=Cells(
            (
                CellGroup(filters // 4),
                CellGroup(filters // 2),
                CellGroup(filters, cells, reduce=False),
                CellGroup(filters * 2, cells, skip=skip),
                CellGroup(filters * 4, cells, skip=skip),
            )
        ),
        tasks={"label": Classify(1000)},
        conventions=Conventions(epsilon=1e-3, momentum=0.9997, padding="tensorflow"),
    )


NASNET = Family(
    name="NASNet",
    origin="Zoph et al. 2018, Learning Transferable Architectures for Scalable Image Recognition",
    convention="as keras.applications: no bias before a batch normalisation, no auxiliary classifier",
    recipes={
        "nasnet-mobile": nasnet(4, 1056, stem=32, skip=False, size=224),
        "nasnet-large": nasnet(6, 4032, stem=96, skip=True, size=331),
    },
)
