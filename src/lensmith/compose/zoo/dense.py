"""The dense networks of the books: rows of numbers in, one or several tasks out.

Parameters are counted with biases, as Keras' ``summary`` prints them.
"""

from __future__ import annotations

from lensmith.compose.parts import Dense, Flatten
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Binary, Classify, MultiLabel, Regress, Task
from lensmith.compose.zoo.family import Family


def rows(columns: int, units: tuple[int, ...], tasks: dict[str, Task]) -> Recipe:
    """A dense network on rows of ``columns`` numbers."""
    return Recipe(input=(columns,), stem=None, learner=Dense(units), tasks=tasks)


def pictures(units: tuple[int, ...], dropout: float = 0.0) -> Recipe:
    """A dense network on 28×28 pictures of ten digits; dropout comes before each activation."""
    return Recipe(
        input=(28, 28, 1), stem=Flatten(), learner=Dense(units, dropout=dropout), tasks={"label": Classify(10)}
    )


DENSE = Family(
    name="Dense",
    origin="Ferlitsch 2021, Deep Learning Patterns and Practices; Michelucci 2019, Advanced Applied Deep Learning",
    convention="a bias in every layer",
    recipes={
        "dense-regressor": rows(13, (10, 10), {"price": Regress()}),
        "dense-binary": rows(13, (10, 10), {"label": Binary()}),
        "dense-multi-class": rows(4, (10, 10), {"label": Classify(5)}),
        "dense-multi-label": rows(3, (10, 10), {"label": MultiLabel(7)}),
        "dense-multi-task": rows(3, (10, 10), {"age_group": Classify(5), "sex": Classify(2)}),
        "dense-digits": pictures((512, 512)),
        "dense-digits-dropout": pictures((512, 512), dropout=0.5),
        "dense-digits-small": Recipe(
            input=(28, 28, 1), stem=Flatten(), learner=None, tasks={"label": Classify(10, hidden=(512,), dropout=0.2)}
        ),
        # Too deep to learn without a remedy: the case for the diagnosis of vanishing gradients.
        "dense-digits-deep": pictures((64,) * 41),
    },
)
