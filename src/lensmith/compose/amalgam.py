"""Amalgamation: several recipes that agree on all but their tasks become one, whose backbone is computed once.

Ferlitsch 2021, Deep Learning Patterns and Practices, chapter 15 (the model amalgamation pattern).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from lensmith import check
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Task


def amalgamate(recipes: Mapping[str, Recipe]) -> Recipe:
    """One recipe with the tasks of all: they share input, stem and learner.

    Args:
        recipes: at least one; the only task of a recipe takes the name it is given here, several keep their own.

    Raises:
        SettingError: two recipes differ in a part that is shared, or two tasks have one name.

    >>> from lensmith.compose import Classify, Dense, Recipe, Regress
    >>> sort = Recipe((4,), None, Dense((8,)), {"label": Classify(3)})
    >>> grade = replace(sort, tasks={"label": Regress()})
    >>> list(amalgamate({"species": sort, "quality": grade}).tasks)
    ['species', 'quality']
    """
    if not recipes:
        raise check.SettingError("amalgamate: expected at least one recipe; got none")
    first_name, first = next(iter(recipes.items()))
    tasks: dict[str, Task] = {}
    for name, recipe in recipes.items():
        _check_shared(first_name, first, name, recipe)
        for task, new in renamed(name, recipe).items():
            if new in tasks:
                raise check.SettingError(f"amalgamate: two tasks are called {new!r}. Give one of them another name")
            tasks[new] = recipe.tasks[task]
    return replace(first, tasks=tasks)


def renamed(name: str, recipe: Recipe) -> dict[str, str]:
    """What each task of a recipe is called in the amalgam."""
    return {task: name if len(recipe.tasks) == 1 else task for task in recipe.tasks}


def _check_shared(first_name: str, first: Recipe, name: str, recipe: Recipe) -> None:
    for item in fields(Recipe):
        if item.name != "tasks" and getattr(first, item.name) != getattr(recipe, item.name):
            expected = f"the {item.name} that {first_name} has, for the backbone is shared"
            remedy = "To let one model look where another points, make a Chain"
            raise check.SettingError(check.sentence(f"amalgamate: {name}", expected, "another", remedy))
