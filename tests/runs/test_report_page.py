"""The page as a whole: sound HTML, nothing from the network, everything escaped, every section there."""

import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn import datasets
from sklearn.neighbors import KNeighborsClassifier

from lensmith.check import DataError, SettingError
from lensmith.compose import Part
from lensmith.runs.report import (
    Content,
    Mistake,
    TaskResult,
    confusion,
    per_class,
    per_label,
    render,
    surest_mistakes,
)

VOID = {"meta", "link", "img", "br", "hr"}
SECTIONS = ["training", "results", "model", "data", "machine", "spec"]
NASTY = "<script>alert('é')</script>&\"quoted\""


class Page(HTMLParser):
    """Checks that tags are balanced, and collects what a reader would meet."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.words, self.addresses, self.tags = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        found = dict(attrs)
        self.tags.append((tag, found))
        self.ids += [found["id"]] if "id" in found else []
        self.addresses += [found[name] for name in ("src", "href") if name in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.words.append(" ".join(data.split()))

    @property
    def text(self):
        return " ".join(word for word in self.words if word)


OUTLINE = (
    Part("input", 1, (8, 8, 1), 0, 0, ""),
    Part("learner-group1", 6, (3, 3, 64), 18816, 18816, "2 Conv2D"),
    Part("task-label", 6, (10,), 74826, 74800, "2 Dense"),
)
HISTORY = tuple(
    {"epoch": e, "loss": 2 / e, "accuracy": 1 - 1 / e, "val_loss": 2.2 / e, "val_accuracy": 0.9 - 0.5 / e, "rate": 1e-3}
    for e in range(1, 9)
)
AUDIT = {
    "kind": "images",
    "counts": {"label": {"train": {"0": 101, "1": 99}, "test": {"0": 11, "1": 9}}},
    "heights": (8.0, 8.0, 8.0),
    "widths": (6.0, 8.0, 9.0),
    "set_aside": [{"source": "photos/1/half.jpg", "reason": "ends too early"}],
    "findings": [
        {
            "kind": "imbalance",
            "severity": "warning",
            "message": "label: 101 examples of 0 but 9 of 1",
            "remedy": "Add examples of the rare classes",
            "files": ["photos/1/a.jpg", "photos/1/b.jpg"],
        }
    ],
}


@pytest.fixture(scope="module")
def digits():
    """A report on scikit-learn's digits, told apart by their nearest neighbour."""
    images, target = datasets.load_digits(return_X_y=True)
    model = KNeighborsClassifier(9).fit(images[:300], target[:300])
    probabilities, truth = model.predict_proba(images[900:]), target[900:]
    table = confusion(truth, probabilities.argmax(axis=1), 10)
    names = tuple(str(digit) for digit in range(10))
    mistakes = tuple(
        Mistake(
            source=f"digits:{900 + i}",
            truth=names[truth[i]],
            predicted=names[probabilities[i].argmax()],
            probability=float(probabilities[i].max()),
            image=(images[900 + i].reshape(8, 8, 1) * 15).astype(np.uint8),
        )
        for i in surest_mistakes(truth, probabilities, 30)
    )
    accuracy = float((probabilities.argmax(axis=1) == truth).mean())
    result = TaskResult(
        "label", "class", names, {"accuracy": accuracy, "loss": 0.1}, table, per_class(table, names), mistakes
    )
    return Content(
        title="digits",
        subtitle="a convolutional network on handwritten digits",
        seconds=83.0,
        seed=7,
        backend="torch",
        examples={"train": 300, "test": 897},
        history=HISTORY,
        best_epoch=6,
        monitor="val_loss",
        stopped=True,
        results=(result,),
        outline=OUTLINE,
        audit=AUDIT,
        environment={"versions": {"keras": "3.15.1"}, "devices": ["cpu"], "threads": 2, "platform": "Linux"},
        spec="data:\n  source: bundled:digits\n",
        commands=(("Predict one image", "lensmith predict runs/digits image.png"),),
    )


def test_every_section_is_there_and_every_link_leads_to_one(digits):
    page = Page(render(digits))
    assert page.ids == [*SECTIONS, "next"]
    inside = [address for address in page.addresses if address.startswith("#")]
    assert inside == [f"#{name}" for name in page.ids]


TROUBLE = {
    "kind": "vanishing-gradients",
    "epoch": 3,
    "evidence": "it is 0.1 of the weights in logits, but 4e-06 in stem",
    "advice": "Use batch normalisation",
}


def seen(epoch, *gradients):
    layers = [{"name": f"dense{at + 1}", "gradient": value, "weights": 1.0} for at, value in enumerate(gradients)]
    return {"epoch": epoch, "steps": {}, "seen": {"layers": layers} if gradients else None}


def test_the_diagnosis_says_what_is_wrong_and_what_to_do(digits):
    watched = (seen(1, 1e-6, 0.0, 0.1), seen(2), seen(3, 1e-8, None, 0.2))
    page = Page(render(replace(digits, diagnosis=(TROUBLE, TROUBLE | {"epoch": None}), watched=watched)))
    assert page.ids == [SECTIONS[0], "diagnosis", *SECTIONS[1:], "next"]
    assert [address for address in page.addresses if address.startswith("#")] == [f"#{name}" for name in page.ids]
    text = page.text
    words = "It is 0.1 of the weights in logits, but 4e-06 in stem. Use batch normalisation."
    assert f"Vanishing gradients from epoch 3 {words}" in text
    assert f"Vanishing gradients {words}" in text
    assert "No sign of trouble" not in text
    assert "gradient by layer before epoch 1 before epoch 3" in text
    assert "dense3, before epoch 3: 0.2" in render(replace(digits, diagnosis=(), watched=watched))


def test_a_healthy_run_has_no_sign_of_trouble_and_an_older_one_was_not_looked_at(digits):
    assert "No sign of trouble." in Page(render(replace(digits, diagnosis=()))).text
    assert "gradient by layer" not in render(replace(digits, diagnosis=(), watched=(seen(1), seen(2, 0.1))))
    assert "diagnosis" not in Page(render(digits)).ids


def test_stages_are_told_apart_in_the_curves(digits):
    staged = tuple({**row, "stage": 1 if row["epoch"] <= 3 else 2} for row in HISTORY)
    text = render(replace(digits, history=staged))
    assert text.count(">stage 2</text>") == 2  # in the loss and in the accuracy
    assert ">stage 1</text>" not in text
    assert "<b>stage</b>" not in text  # which is no measure


def test_nothing_comes_from_the_network(digits):
    text = render(digits)
    assert "http://" not in text
    assert "https://" not in text
    assert "<script" not in text
    assert "@import" not in text
    assert not re.search(r"url\((?!data:)", text)
    assert "default-src 'none'" in text  # and the browser enforces it
    assert all(address.startswith(("#", "data:")) for address in Page(text).addresses)


def test_the_facts_read_well(digits):
    text = Page(render(digits)).text
    accuracy = digits.results[0].metrics["accuracy"]
    for fact in (
        f"test accuracy {100 * accuracy:.2f}\u202f%".replace("\u202f", " "),
        "examples 1,197",
        "epochs 8",
        "training time 1 min 23 s",
        "parameters 93.6 k",
        "backend torch",
        "seed 7",
        "8 epochs, then stopped early, for want of improvement; the weights of epoch 6 were kept, "
        "the best by validation loss.",
        "93,642 parameters, 93,616 of them trainable.",
        "Every epoch.",
        "Images are 8 pixels high and 6 to 9 (median 8) wide.",
        "label: 101 examples of 0 but 9 of 1. Add examples of the rare classes.",
        "photos/1/half.jpg ends too early",
        "keras 3.15.1",
        "devices cpu",
        "source: bundled:digits",
        "Predict one image lensmith predict runs/digits image.png",
    ):
        assert fact in text


def test_the_curves_the_matrix_and_the_classes_are_drawn(digits):
    page = Page(render(digits))
    drawings = [found["aria-label"] for tag, found in page.tags if tag == "svg"]
    assert [says.split(":")[0] for says in drawings[:2]] == ["loss to epoch 8", "accuracy to epoch 8"]
    assert drawings[2] == "the model: input → group 1 → label"
    cells = [found for tag, found in page.tags if tag == "td" and found.get("class", "").startswith(("right", "wrong"))]
    assert len(cells) == np.count_nonzero(digits.results[0].confusion)
    captions = sum(tag == "caption" for tag, _ in page.tags)
    assert captions == sum(tag == "table" for tag, _ in page.tags)


def test_mistakes_are_pictures_with_words(digits):
    page = Page(render(digits))
    pictures = [found for tag, found in page.tags if tag == "img"]
    assert len(pictures) == 24  # of 30
    first = digits.results[0].mistakes[0]
    assert pictures[0]["alt"] == f"{first.source}: {first.truth}, taken for {first.predicted}"
    assert pictures[0]["class"] == "tiny"
    assert pictures[0]["src"].startswith("data:image/png;base64,")
    assert f"said {first.predicted}" in page.text


def test_an_empty_run_says_so_in_every_section():
    page = Page(render(Content("nothing yet")))
    assert page.ids == SECTIONS
    for sentence in (
        "Nothing was trained in this run",
        "Nothing was measured",
        "The model's parts are not known.",
        "The data were not audited.",
        "The machine and the versions were not noted.",
        "This run has no spec.",
    ):
        assert sentence in page.text


def test_a_perfect_model_a_single_epoch_and_no_validation(digits):
    table = np.diag([5, 0])
    result = TaskResult("label", "class", ("a", "b"), {"accuracy": 1.0}, table, per_class(table, ("a", "b")))
    row = {"epoch": 1, "loss": 0.5, "rate": 0.1}
    page = Page(render(replace(digits, results=(result,), history=(row,), best_epoch=None, stopped=False)))
    assert "There is no mistake to show." in page.text
    assert "1 epoch. The numbers beside each title are those of the last epoch." in page.text
    assert "There was no validation part, so the curves show training alone." in page.text
    assert "b 0 – – –" in page.text  # a class without examples has no figures


def test_an_empty_test_part_and_a_clean_audit(digits):
    nothing = np.zeros((2, 2), int)
    numbers = np.zeros((0, 1))
    results = (
        TaskResult("label", "class", ("a", "b"), {"accuracy": None}, nothing, per_class(nothing, ("a", "b"))),
        TaskResult("price", "number", ("price",), {}, scatter=(numbers, numbers)),
    )
    audit = {"kind": "rows", "counts": {}, "findings": [], "set_aside": [], "heights": None, "widths": None}
    text = Page(render(replace(digits, results=results, audit=audit))).text
    assert "There was no example to count." in text
    assert "There was no example to draw." in text
    assert "The audit found nothing wrong." in text
    assert "Every file could be used." in text
    assert "pixels high" not in text


def test_several_tasks_of_every_kind(digits):
    truth = np.linspace(0, 10, 30).reshape(-1, 2)
    has = np.arange(12).reshape(4, 3) % 2
    results = (
        replace(digits.results[0], name="species"),
        TaskResult("growth", "number", ("height", "width"), {"mean_absolute_error": 1 / 3}, scatter=(truth, truth + 1)),
        TaskResult("traits", "classes", ("red", "wet", "old"), {"accuracy": 0.5}, per_class=per_label(has, has, "rwo")),
    )
    page = Page(render(replace(digits, results=results)))
    assert "Task species" in page.text
    assert "test growth mean absolute error 0.3333" in page.text
    says = [found["aria-label"] for tag, found in page.tags if tag == "svg"]
    assert "predicted against true width, 15 examples" in says
    assert page.text.count("Confusion matrix") == 1
    assert page.text.count("Class by class") == 2


def test_rows_of_numbers_have_a_table_of_mistakes(digits):
    mistake = Mistake("wine.csv:12", "red", "white", 0.91)
    page = Page(render(replace(digits, results=(replace(digits.results[0], mistakes=(mistake,)),))))
    assert "wine.csv:12 red white 91.0 %" in page.text
    assert not [tag for tag, _ in page.tags if tag == "img"]


@pytest.mark.parametrize(
    ("classes", "title"), [(2, "Confusion matrix"), (40, "Confusion matrix"), (41, "Most confused")]
)
def test_a_matrix_up_to_forty_classes_and_pairs_above(digits, classes, title):
    table = np.diag(np.full(classes, 9)) + np.eye(classes, k=1, dtype=int)
    names = tuple(f"class {i}" for i in range(classes))
    result = TaskResult("label", "class", names, {"accuracy": 0.9}, table, per_class(table, names))
    counts = {"label": {"all": dict.fromkeys(names, 10)}}
    text = Page(render(replace(digits, results=(result,), audit=AUDIT | {"counts": counts}))).text
    assert title in text
    assert ("class 0 class 1 1 10.0 %" in text) == (classes > 40)
    assert (f"All {classes} classes" in text) == (classes > 40)


def test_a_thousand_classes_and_a_long_history_are_drawn_quickly(digits):
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 1000, (2, 20_000))
    table = confusion(truth, predicted, 1000)
    names = tuple(f"class {i}" for i in range(1000))
    photo = rng.integers(0, 256, (240, 320, 3), np.uint8)
    mistakes = tuple(Mistake(f"{i}.jpg", "a", "b", 0.5, photo) for i in range(24))
    result = TaskResult("label", "class", names, {"accuracy": 0.1}, table, per_class(table, names), mistakes)
    rows = tuple({**HISTORY[0], "epoch": e} for e in range(1, 5001))
    began = time.perf_counter()
    text = render(replace(digits, results=(result,), history=rows, best_epoch=4000))
    # Twenty times what it takes on an idle machine; not a timing test, but a guard against something quadratic.
    assert time.perf_counter() - began < 10
    assert len(text) < 4_000_000
    assert "5,000 epochs" in Page(text).text


def test_everything_from_outside_is_escaped(digits):
    table = np.array([[3, 1], [0, 2]])
    names = (NASTY, "é – Königskerze 🌼")
    image = np.zeros((4, 4, 3), np.uint8)
    results = (
        TaskResult(
            NASTY, "class", names, {NASTY: 0.5}, table, per_class(table, names), (Mistake(NASTY, *names, 0.5, image),)
        ),
        TaskResult("n", "number", (NASTY,), {}, scatter=(np.ones((2, 1)), np.ones((2, 1)))),
    )
    finding = {"kind": NASTY, "severity": NASTY, "message": NASTY, "remedy": NASTY, "files": [NASTY]}
    content = Content(
        diagnosis=({"kind": NASTY, "epoch": 1, "evidence": NASTY, "advice": NASTY},),
        watched=({"epoch": 1, "seen": {"layers": [{"name": NASTY, "gradient": 1.0, "weights": 1.0}] * 2}},),
        title=NASTY,
        subtitle=NASTY,
        backend=NASTY,
        examples={NASTY: 3},
        history=({"epoch": 1, NASTY: 0.5},),
        best_epoch=1,
        monitor=NASTY,
        part=NASTY,
        results=results,
        outline=(Part(f"task-{NASTY}", 1, (1,), 1, 1, NASTY),),
        audit={
            "counts": {NASTY: {NASTY: {NASTY: 3}}},
            "findings": [finding],
            "set_aside": [{"source": NASTY, "reason": NASTY}],
        },
        environment={NASTY: NASTY, "versions": {NASTY: [NASTY]}},
        spec=NASTY,
        commands=((NASTY, NASTY),),
    )
    text = render(content)
    assert "<script" not in text
    page = Page(text)
    assert NASTY in page.text
    assert "é – Königskerze 🌼" in page.text


def test_names_that_look_like_numbers_or_paths_keep_their_counts(digits):
    counts = {"label": {"all": {"0": 10, "a.b": 5}}}
    text = render(replace(digits, audit=AUDIT | {"counts": counts}))
    assert re.findall(r'--part:([\d.]+)"></i>(\d+)</td>', text) == [("1.000", "10"), ("0.500", "5")]


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Mistake("a.png", "x", "y", 0.5, np.zeros((4, 4))), DataError, "a.png: expected a uint8 image"),
        (lambda: TaskResult("t", "masks", ("x",), {}), SettingError, "t: kind: expected one of class, classes, number"),
        (
            lambda: TaskResult("t", "class", ("x",), {}, np.zeros((2, 2), int)),
            DataError,
            "t: confusion: expected shape",
        ),
        (
            lambda: TaskResult("t", "number", ("x",), {}, scatter=(np.zeros(3), np.zeros(3))),
            DataError,
            "t: scatter: expected shape",
        ),
    ],
)
def test_wrong_content_is_refused_when_it_is_made(make, error, says):
    with pytest.raises(error, match=says):
        make()
