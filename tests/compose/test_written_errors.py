"""What is refused in a written recipe, and in which words: one SettingError of one line that names the place."""

from __future__ import annotations

import copy

import pytest

from lensmith.compose import Recipe

# One of everything; each case below spoils one place of it.
GOOD = {
    "input": [32, 32, 3],
    "stem": {"part": "conv-stem", "filters": 8},
    "learner": {
        "part": "groups",
        "groups": [
            {"block": {"part": "conv", "kernel": 3}, "filters": [4, 4], "pool": {"size": 2}},
            {"block": {"part": "bottleneck", "version": "2"}, "filters": 4, "pool": 2},
        ],
    },
    "tasks": {"label": {"part": "classify", "classes": 3}},
}
GROUPS = "learner.groups[0]"
BLOCK = f"{GROUPS}.block"
WHOLE = "expected a whole number of at least 1"
FLAG = "expected True or False"
SHARE = "expected a number from 0 to 1"
WIDTHS = "expected a list of whole numbers, one for each layer"
NAME = "expected a name of letters, digits and underscores"
ABSENT = object()


def spoilt(path, value):
    """``GOOD`` with another value at this path, or nothing there at all."""
    values = copy.deepcopy(GOOD)
    *way, last = path
    inside = values
    for key in way:
        inside = inside[key]
    if value is ABSENT:
        del inside[last]
    else:
        inside[last] = value
    return values


def test_the_recipe_that_is_spoilt_below_is_sound():
    assert Recipe.from_dict(GOOD).count() > (0, 0)


STEM, LEARNER, GROUP = ("stem",), ("learner",), ("learner", "groups", 0)
BLOCK_PATH = (*GROUP, "block")
DENSE = {"part": "dense", "units": [4]}
WRITTEN = {
    # misspelt parts and settings: the nearest name is suggested
    "part": (BLOCK_PATH, {"part": "botleneck"}, f"{BLOCK}.part", "Did you mean 'bottleneck'?"),
    "bare part": (BLOCK_PATH, "basik", f"{BLOCK}.part", "Did you mean 'basic'?"),
    "stem part": (STEM, "flaten", "stem.part", "Did you mean 'flatten'?"),
    "task part": (("tasks", "label"), "multilabel", "tasks.label.part", "Did you mean 'multi-label'?"),
    "setting": (BLOCK_PATH, {"part": "basic", "shortcutt": 1}, BLOCK, "'shortcutt'", "Did you mean 'shortcut'?"),
    "group setting": ((*GROUP, "fliters"), 4, GROUPS, "Did you mean 'filters'?"),
    "recipe key": (("lerner",), None, "recipe", "Did you mean 'learner'?"),
    "choice": ((*GROUP, "pool", "kind"), "avrage", f"{GROUPS}.pool.kind", "Did you mean 'average'?"),
    "activation": ((*STEM, "activation"), "rellu", "stem.activation", "Did you mean 'relu'?"),
    "padding": ((*BLOCK_PATH, "padding"), "full", f"{BLOCK}.padding", "same, valid"),
    "head pool": (("tasks", "label", "pool"), "maxx", "tasks.label.pool", "Did you mean 'max'?"),
    "setting of a part that has none": (STEM, {"part": "flatten", "x": 1}, "stem", "expected no settings", "'x'"),
    "key that is no word": ((*GROUP, 3), 4, GROUPS, "got 3"),
    "key of two lines": (("a\nb",), 4, "recipe", r"'a\nb'"),
    # a part in the wrong place
    "block as stem": (STEM, "conv", "stem.part", "conv-stem"),
    "learner as stem": (STEM, DENSE, "stem.part", "'dense' is a part, but not for this place"),
    "block as group": (GROUP, "conv", f"{GROUPS}.part", "'conv' is a part, but not for this place"),
    "block as pool": ((*GROUP, "pool"), "conv", f"{GROUPS}.pool.part", "expected one of pool"),
    # missing
    "no input": (("input",), ABSENT, "recipe.input: missing"),
    "no tasks": (("tasks",), ABSENT, "recipe.tasks: missing"),
    "no block": (BLOCK_PATH, ABSENT, f"{BLOCK}: missing"),
    "no filters": ((*GROUP, "filters"), ABSENT, f"{GROUPS}.filters: expected a number of filters"),
    "no stem filters": ((*STEM, "filters"), ABSENT, "stem.filters: missing"),
    "no part name": (BLOCK_PATH, {"kernel": 3}, f"{BLOCK}.part", "conv, basic, bottleneck", "got None"),
    "no classes": (("tasks", "label"), "classify", "tasks.label.classes: missing"),
    "no units": (LEARNER, "dense", "learner.units: missing"),
    # groups
    "empty groups": ((*LEARNER, "groups"), [], "learner.groups", "expected at least one group"),
    "groups left out": (LEARNER, "groups", "learner.groups", "expected at least one group"),
    "groups is a number": ((*LEARNER, "groups"), 3, "learner.groups", "expected a list of groups"),
    "groups is one group": ((*LEARNER, "groups"), {"block": "conv"}, "learner.groups", "expected a list of groups"),
    "groups is a word": ((*LEARNER, "groups"), "conv", "learner.groups", "expected a list of groups"),
    "groups is none": ((*LEARNER, "groups"), None, "learner.groups", "expected a list of groups"),
    "a group is none": (GROUP, None, "learner.groups", "got None"),
    "a group is a number": (GROUP, 3, GROUPS, "expected a part (group); got 3"),
    # a value of the wrong kind
    "recipe input as words": (("input",), "32x32", "input", "(height, width, channels)"),
    "recipe input of two": (("input",), [32, 32], "input", "(height, width, channels)"),
    "recipe input of floats": (("input",), [32.0, 32, 3], "input", WHOLE),
    "recipe input below one": (("input",), [32, 0, 3], "input", WHOLE),
    "recipe input of flags": (("input",), [32, 32, True], "input", WHOLE),
    "recipe input as a number": (("input",), 13, "input", "(columns,) of rows"),
    "stem is a list": (STEM, ["flatten"], "stem", "expected a part (conv-stem, "),
    "stem is a number": (STEM, 3, "stem", "expected a part (conv-stem, "),
    "stem is a flag": (STEM, False, "stem", "expected a part (conv-stem, "),
    "learner is a number": (LEARNER, 1.5, "learner", "expected a part (groups, dense"),
    "blocks fewer than filters": (BLOCK_PATH, ["conv"], f"{GROUPS}.filters", "expected 1, since block names 1"),
    "no blocks in a list": (BLOCK_PATH, [], BLOCK, "expected at least one block"),
    "block is a number": (BLOCK_PATH, 3, BLOCK, "expected a part (conv, basic, bottleneck"),
    "block is none": (BLOCK_PATH, None, BLOCK, "a block (Conv, Basic, Bottleneck", "got None"),
    "part is a list": (BLOCK_PATH, {"part": ["conv"]}, f"{BLOCK}.part", "got ['conv']"),
    "flag as a word": ((*STEM, "norm"), "yes", "stem.norm", FLAG),
    "flag as a number": ((*STEM, "bias"), 1, "stem.bias", FLAG),
    "bias as a word": ((*BLOCK_PATH, "bias"), "false", f"{BLOCK}.bias", FLAG),
    "residual bias as none": (BLOCK_PATH, {"part": "basic", "bias": None}, f"{BLOCK}.bias", FLAG),
    "float for a whole number": ((*STEM, "filters"), 8.0, "stem.filters", WHOLE),
    "flag for a whole number": ((*STEM, "kernel"), True, "stem.kernel", WHOLE),
    "word for a whole number": ((*BLOCK_PATH, "kernel"), "3", f"{BLOCK}.kernel", WHOLE),
    "filters as a word": ((*GROUP, "filters"), "4", f"{GROUPS}.filters", WHOLE),
    "filters as none": ((*GROUP, "filters"), None, f"{GROUPS}.filters", "expected a number of filters"),
    "filters nested": ((*GROUP, "filters"), [[4]], f"{GROUPS}.filters", WHOLE),
    "no filters in the list": ((*GROUP, "filters"), [], f"{GROUPS}.filters", "at least one block"),
    "no filters below one": ((*GROUP, "filters"), [4, 0], f"{GROUPS}.filters", WHOLE),
    "stride of two numbers": ((*GROUP, "stride"), [2, 2], f"{GROUPS}.stride", WHOLE),
    "stride below one": ((*GROUP, "stride"), 0, f"{GROUPS}.stride", WHOLE),
    "pool as a word": ((*GROUP, "pool"), "max", f"{GROUPS}.pool", "got 'max'"),
    "pool as a float": ((*GROUP, "pool"), 2.0, f"{GROUPS}.pool", "got 2.0"),
    "pool as a list": ((*GROUP, "pool"), [2, 2], f"{GROUPS}.pool", "got [2, 2]"),
    "pool as a flag": ((*GROUP, "pool"), True, f"{GROUPS}.pool", WHOLE),
    "pool below one": ((*GROUP, "pool"), 0, f"{GROUPS}.pool", WHOLE),
    "stem pool below one": ((*STEM, "pool"), 0, "stem.pool", WHOLE),
    "pool stride as a word": ((*GROUP, "pool", "stride"), "2", f"{GROUPS}.pool.stride", WHOLE),
    "negative dropout": ((*GROUP, "dropout"), -0.1, f"{GROUPS}.dropout", SHARE),
    "dropout above one": ((*GROUP, "dropout"), 20, f"{GROUPS}.dropout", SHARE),
    "dropout as a word": ((*GROUP, "dropout"), "0.1", f"{GROUPS}.dropout", SHARE),
    "dropout that is no number": ((*GROUP, "dropout"), float("nan"), f"{GROUPS}.dropout", SHARE),
    "dropout as a flag": (("tasks", "label", "dropout"), True, "tasks.label.dropout", SHARE),
    "units as a number": (LEARNER, {**DENSE, "units": 10}, "learner.units", WIDTHS),
    "units as a word": (LEARNER, {**DENSE, "units": "10"}, "learner.units", WIDTHS),
    "no units in the list": (LEARNER, {**DENSE, "units": []}, "learner.units", "at least one layer"),
    "units nested": (LEARNER, {**DENSE, "units": [[4]]}, "learner.units", WHOLE),
    "dense dropout": (LEARNER, {**DENSE, "dropout": -1}, "learner.dropout", SHARE),
    "activation as none": (LEARNER, {**DENSE, "activation": None}, "learner.activation", "got None"),
    "activation as a list": (LEARNER, {**DENSE, "activation": ["relu"]}, "learner.activation", "got ['relu']"),
    "hidden as a number": (("tasks", "label", "hidden"), 16, "tasks.label.hidden", WIDTHS),
    "hidden as a mapping": (("tasks", "label", "hidden"), {16: 1}, "tasks.label.hidden", WIDTHS),
    "hidden as none": (("tasks", "label", "hidden"), None, "tasks.label.hidden", WIDTHS),
    "weight below 0": (("tasks", "label", "weight"), -1, "tasks.label.weight", "expected a number from 0"),
    "weight as a word": (("tasks", "label", "weight"), "much", "tasks.label.weight", "expected a number from 0"),
    "version as a list": (BLOCK_PATH, {"part": "basic", "version": [2]}, f"{BLOCK}.version", "1, 1.5, 2"),
    "version as a flag": (BLOCK_PATH, {"part": "basic", "version": True}, f"{BLOCK}.version", "1, 1.5, 2"),
    "version that never was": (BLOCK_PATH, {"part": "basic", "version": 3}, f"{BLOCK}.version", "1, 1.5, 2"),
    "expansion below one": (BLOCK_PATH, {"part": "bottleneck", "expansion": 0}, f"{BLOCK}.expansion", WHOLE),
    # settings that contradict each other
    "two numbers of blocks": ((*GROUP, "blocks"), 3, f"{GROUPS}.blocks", "expected 2, since filters names 2; got 3"),
    "blocks as a flag": ((*GROUP, "blocks"), True, f"{GROUPS}.blocks", WHOLE),
    "blocks as a float": ((*GROUP, "blocks"), 2.0, f"{GROUPS}.blocks", WHOLE),
    "version 2 with a norm after": (
        BLOCK_PATH,
        {"part": "bottleneck", "version": "2", "norm": "after"},
        f"{BLOCK}.norm",
        "leave norm out or take version 1",
    ),
    "one class": (("tasks", "label", "classes"), 1, "tasks.label.classes", "use Binary() or 2 classes"),
    "classes as a word": (("tasks", "label", "classes"), "3", "tasks.label.classes", WHOLE),
    # tasks
    "no task": (("tasks",), {}, "tasks", "expected at least one"),
    "tasks as a list": (("tasks",), ["classify"], "tasks", "expected a task for each name"),
    "tasks as none": (("tasks",), None, "tasks", "expected a task for each name"),
    "task as none": (("tasks", "label"), None, "tasks.label", "got None"),
    "task as a number": (("tasks", "label"), 3, "tasks.label", "classify, binary, multi-label, regress"),
    "task name with a hyphen": (("tasks", "la-bel"), "binary", "tasks", NAME, "'la-bel'"),
    "task name with a dot": (("tasks", "la.bel"), "binary", "tasks", NAME),
    "task name of two lines": (("tasks", "la\nbel"), "binari", "tasks", NAME),
    "task name that ends a line": (("tasks", "label\n"), "binary", "tasks", NAME),
    "task name that is a number": (("tasks", 3), "binary", "tasks", NAME, "got 3"),
    "task name that is nothing": (("tasks", ""), "binary", "tasks", NAME),
}


@pytest.mark.parametrize("case", WRITTEN.values(), ids=WRITTEN)
def test_written_recipe(case, refused):
    path, value, place, *words = case
    refused(lambda: Recipe.from_dict(spoilt(path, value)), f"{place}", *words)


@pytest.mark.parametrize("values", [None, [1], 3, "resnet18-v1"])
def test_a_recipe_is_a_mapping(values, refused):
    refused(lambda: Recipe.from_dict(values), "recipe: expected settings by name", repr(values))


# --- YAML ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("input: [1, 2\ntasks: ]", ["recipe, line 2: not YAML"]),
        ("input: [8]\ntasks: a: b", ["recipe, line 2: not YAML", "not allowed here"]),
        ("input: [8]\n\tstem: flatten", ["recipe, line 2: not YAML"]),
        ("input: [8]\nstem: \x00", ["recipe, line 2: not YAML", "special characters"]),
        ("stem: *other", ["recipe, line 1: not YAML", "undefined alias"]),
        ("{[1]: 2}", ["recipe, line 1: not YAML"]),
        ("a: 1\n--- \nb: 2", ["recipe, line 2: not YAML"]),
        ("input: !!python/object:os.system {}", ["recipe, line 1: not YAML"]),  # nothing is ever run
        ("input: 2020-13-45", ["recipe: not YAML"]),
        ("[" * 5000, ["recipe", "not YAML"]),
        ("", ["recipe: expected settings by name; got None"]),
        ("resnet18.yaml", ["recipe: expected settings by name; got 'resnet18.yaml'"]),
        ("input: [8]\ntasks: {yes: binary}", ["tasks", NAME, "got True"]),  # YAML reads a bare yes as a flag
        (None, ["recipe: expected YAML text; got None"]),
    ],
)
def test_text_that_is_no_recipe(text, words, refused):
    refused(lambda: Recipe.from_yaml(text), *words)
