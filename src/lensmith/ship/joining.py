"""Trained models made into one: heads on one backbone, or a chain where one looks where another points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lensmith import check
from lensmith.compose import Chain, Crop, Recipe
from lensmith.compose import amalgamate as amalgamate_recipes
from lensmith.compose.amalgam import renamed
from lensmith.compose.chain import PREFIX
from lensmith.ship.saved import Saved, arrays_of, assign


def amalgamate(models: Mapping[str, Saved]) -> Saved:
    """One model with the heads of several, which were trained on the same frozen backbone.

    Args:
        models: by the name their only task gets; several tasks of one model keep their names.

    Raises:
        SettingError: they do not share input, stem, learner and preprocessing, or two tasks have one name.
        DataError: a weight of the backbone differs between two of them.
    """
    recipes = {name: _recipe(name, saved) for name, saved in models.items()}
    recipe = amalgamate_recipes(recipes)
    first_name, first = next(iter(models.items()))
    labels, backbone = {}, {k: v for k, v in arrays_of(first.model).items() if not k.startswith("task-")}
    arrays = dict(backbone)
    for name, saved in models.items():
        if saved.preprocessing != first.preprocessing:
            raise check.SettingError(
                check.sentence(f"{name}: preprocessing", f"that of {first_name}, for they share an input", "another")
            )
        own = arrays_of(saved.model)
        _check_backbone(first_name, backbone, name, own)
        for task, new in renamed(name, recipes[name]).items():
            labels[new] = saved.labels[task]
            head = f"task-{task}-"
            arrays |= {f"task-{new}-" + k.removeprefix(head): v for k, v in own.items() if k.startswith(head)}
    model = recipe.build(seed=0)
    assign(model, arrays, "amalgam")
    return Saved(model, recipe, labels, first.preprocessing)


def chain(find: Saved, crop: Crop, then: Saved) -> Saved:
    """One model in which ``then`` sees what ``find`` has found.

    Args:
        find: has the :class:`~lensmith.compose.Localise` task that ``crop`` names.
        crop: which, and how much is cut out.
        then: its input is the size of the crop; it takes pixels scaled as ``find`` does.

    Raises:
        SettingError: the two do not fit each other.
    """
    recipe = Chain(_recipe("find", find), crop, _recipe("then", then))
    if replace(then.preprocessing, image=find.preprocessing.image) != find.preprocessing:
        remedy = "Train both with the same scaling: the crop is cut from pixels that are scaled already"
        raise check.SettingError(check.sentence("then: preprocessing", "the scaling of find", "another", remedy))
    arrays = arrays_of(find.model)
    for name, value in arrays_of(then.model).items():
        arrays[name if name.startswith("task-") else PREFIX + name] = value
    model = recipe.build(seed=0)
    assign(model, arrays, "chain")
    return Saved(model, recipe, {**find.labels, **then.labels}, find.preprocessing)


def _recipe(name: str, saved: Saved) -> Recipe:
    if isinstance(saved.recipe, Chain):
        raise check.SettingError(check.sentence(name, "a model of one recipe", "a chain", "Join its parts instead"))
    return saved.recipe


def _check_backbone(first_name: str, first: Mapping[str, np.ndarray], name: str, own: Mapping[str, np.ndarray]) -> None:
    for weight, value in first.items():
        if weight not in own or not np.array_equal(value, own[weight]):
            remedy = f"Train {name} from {first_name} with its stem and learner frozen"
            raise check.DataError(
                check.sentence(
                    f"{name}: {weight}", f"the values of {first_name}: the backbone is shared", "others", remedy
                )
            )
