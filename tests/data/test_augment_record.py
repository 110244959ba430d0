"""One record of ranges: what it takes, what it refuses, and its written form."""

import json
from dataclasses import fields, replace

import pytest
import yaml

from lensmith import check
from lensmith.data.augmentation.record import PRESETS, Augment


@pytest.mark.parametrize(
    ("short", "written_out"),
    [
        ({"rotate": 15}, {"rotate": (-15, 15)}),  # degrees about 0
        ({"zoom": 0.1}, {"zoom": (0.9, 1.1)}),  # factors about 1
        ({"brightness": 0.2}, {"brightness": (0.8, 1.2)}),
        ({"shift": 0.1}, {"shift": (0.1, 0.1)}),  # x and y
        ({"zoom": [0.9, 1.1]}, {"zoom": (0.9, 1.1)}),  # as YAML has it
        ({}, {"rotate": 0, "zoom": (1, 1), "share": 1.0}),  # nothing happens
    ],
)
def test_one_number_stands_for_two(short, written_out):
    assert Augment(**short) == Augment(**written_out)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"flip": "horizontl"}, "augment.flip: .*Did you mean 'horizontal'"),
        ({"fill": "mirror"}, "augment.fill: expected one of nearest, constant, reflect, wrap"),
        ({"turn": 90}, r"augment.turn: expected one of True, False; got 90. One angle alone is rotate: \[90, 90\]"),
        ({"rotate": -15}, "augment.rotate: expected one number from 0 to 360"),  # a half-width is not negative
        ({"rotate": (15, -15)}, r"augment.rotate: .*\(low, high\)"),  # the wrong way round
        ({"rotate": (0, 400)}, "within -360 to 360"),
        ({"zoom": (0, 1)}, r"augment.zoom: expected one number from 0 to 0.9, or \(low, high\) within 0.1 to 10"),
        (
            {"zoom": 1.1},
            "got 1.1. One number is how far it goes to either side of 1",
        ),  # as half-width it would turn the image inside out
        ({"shear": True}, "augment.shear"),
        ({"brightness": float("nan")}, "augment.brightness"),
        ({"contrast": "0.1"}, "augment.contrast"),
        ({"shift": 1.5}, "augment.shift: .* from 0 to 1; got 1.5"),
        ({"shift": 0.3, "roll": True}, "from 0 to 0.2; got 0.3. A roll is limited"),
        ({"affine": 0.25}, "augment.affine: expected a number from 0 to 0.2"),  # corners could meet on a line
        ({"fill_value": 256}, "augment.fill_value: expected a whole number from 0 to 255"),
        ({"share": 1.5}, "augment.share: expected a number from 0 to 1"),
        ({"erase": -0.1}, "augment.erase"),
        ({"erase_area": (0.5, 1.5)}, "augment.erase_area"),
        ({"erase_area": 0.3}, r"augment.erase_area: expected \(low, high\) within 0 to 1; got 0.3"),
        ({"mixup": -1}, "augment.mixup"),
    ],
)
def test_a_wrong_value_is_named(given, said):
    with pytest.raises(check.SettingError, match=said) as caught:
        Augment(**given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("record", [Augment(), *PRESETS.values(), Augment(rotate=(3, 7), share=0.5, roll=True)])
def test_it_survives_json_and_yaml(record):
    assert Augment.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    assert Augment.from_dict(yaml.safe_load(yaml.safe_dump(record.to_dict()))) == record
    assert set(record.to_dict()) == {field.name for field in fields(Augment)}


def test_as_a_person_writes_it():
    spec = yaml.safe_load("augment: {flip: horizontal, rotate: 15, zoom: [0.9, 1.1], share: 0.5}")
    assert Augment.from_dict(spec["augment"]) == Augment(flip="horizontal", rotate=15, zoom=(0.9, 1.1), share=0.5)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"rotation": 3}, "got 'rotation'. Did you mean 'rotate'"),
        ({"qqq": 3}, "Known: flip, turn"),
        ("light", "augment: expected settings by name"),  # a name is looked up in PRESETS by whoever reads the spec
    ],
)
def test_an_unknown_setting_is_named(spec, said):
    with pytest.raises(check.SettingError, match=said):
        Augment.from_dict(spec)


def test_a_change_keeps_the_ranges():
    assert replace(PRESETS["light"], share=0.5).rotate == (-10, 10)
