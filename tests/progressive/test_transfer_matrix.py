import json

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.progressive import TaskData, TransferMatrix, transfer_matrix

CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy
# Eager, because TensorFlow would trace every arm.
EAGER = keras.backend.backend() == "tensorflow"
NAN = np.nan


def matrix(**changed):
    arguments = {
        "ratios": np.array(
            [[[NAN, 1.3], [1.3, NAN]], [[NAN, 1.32], [1.2, NAN]]]
        ),
        "controls": {
            "random_column": np.array([[1.0, 1.0], [1.05, 1.0]]),
            "equal_width": np.array([[1.25, 1.1], [1.22, 1.11]]),
        },
        "ceilings": (1.5, None),
        **changed,
    }
    return TransferMatrix(("a", "b"), monitor="val_accuracy", **arguments)


@pytest.mark.no_backend
def test_transfer_is_beyond_the_intervals_of_both_controls():
    found = matrix()
    assert found.is_transfer("a", "b")
    assert not found.is_transfer("b", "a")  # Below equal width with one seed.
    lower = {**found.controls, "random_column": np.full((2, 2), 1.4)}
    assert not matrix(controls=lower).is_transfer("a", "b")
    one = {name: values[:1] for name, values in found.controls.items()}
    assert not matrix(ratios=found.ratios[:1], controls=one).is_transfer(
        "a", "b"
    )
    missing = {**found.controls, "equal_width": np.full((2, 2), NAN)}
    assert not matrix(controls=missing).is_transfer("a", "b")


@pytest.mark.no_backend
def test_the_table_holds_controls_and_marks_transfer():
    text = str(matrix())
    rows = {
        line.split("│")[1].strip(): line
        for line in text.splitlines()
        if line.startswith("│")
    }
    assert list(rows) == [
        "a",
        "b",
        "random column (control)",
        "equal width (control)",
        "highest possible",
    ]
    assert "1.3100 ± 0.0141 *" in rows["a"] and "*" not in rows["b"]
    written = json.loads(json.dumps(matrix().to_dict()))
    assert written["ratios"][0] == [[None, 1.3], [1.3, None]]


@pytest.mark.no_backend
def test_the_picture_shows_the_means(tmp_path):
    pytest.importorskip("matplotlib")
    axes = matrix().plot(tmp_path / "matrix.png").axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert texts == [
        "",
        "1.310",
        "1.250",
        "",
        *["1.025", "1.000"],
        *["1.235"],
        "1.105",
    ]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["a", "b", "random column", "equal width"]


@pytest.fixture(scope="module")
def tasks():
    x = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
    found = {}
    for name, y in (("a b", x[:, 0] > 0), ("b", x[:, 0] < 0)):
        y = y.astype("int32")
        found[name] = TaskData(layers.Dense(2), x, y, validation_data=(x, y))
    return found


def test_each_pair_and_each_control_is_trained_once(tasks, capsys):
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, "relu"), layers.Dense(2)]
    )
    model.compile("sgd", CROSSENTROPY(True), run_eagerly=EAGER)
    before = model.get_weights()

    found = transfer_matrix(
        model, tasks=tasks, epochs=1, seeds=1, adapter_width=1, verbose=1
    )

    lines = [
        line.split(",")[0] for line in capsys.readouterr().out.splitlines()
    ]
    assert sorted(lines) == sorted(
        f"{source} -> {target}"
        for target, other in (("a b", "b"), ("b", "a b"))
        for source in ("scratch", other, "random_column", "equal_width")
    )
    assert found.tasks == ("a b", "b") and found.mode == "min"
    assert np.isnan(found.ratios[0]).tolist() == [[True, False], [False, True]]
    assert all(np.isfinite(v).all() for v in found.controls.values())
    assert model.trainable_variables and all(
        np.array_equal(a, b)
        for a, b in zip(before, model.get_weights(), strict=True)
    )


def test_a_column_without_a_wider_form_has_no_score(tasks):
    inputs = keras.Input((4,))
    hidden = layers.Add()([inputs, layers.Dense(4)(inputs)])
    model = keras.Model(inputs, layers.Dense(2)(hidden))
    model.compile("sgd", CROSSENTROPY(True), run_eagerly=EAGER)
    found = transfer_matrix(
        model, tasks=tasks, epochs=1, seeds=1, adapter_width=1
    )
    assert np.isnan(found.controls["equal_width"]).all()
    assert np.isfinite(found.controls["random_column"]).all()
    assert not found.is_transfer("a b", "b")


def test_a_head_that_does_not_fit_raises_before_training(tasks, monkeypatch):
    # Bug: the head of the second task fails when the first one is trained.
    monkeypatch.setattr(keras.Model, "fit", None)  # A call is a TypeError.
    good = tasks["b"]
    for head in (layers.Reshape((7, 7)), layers.RepeatVector(3)):
        bad = TaskData(head, good.x, good.y, validation_data=(good.x, good.y))
        with pytest.raises(ValueError, match="shape"):
            transfer_matrix(
                lambda inputs: [layers.Dense(4)(inputs)],
                keras.Input((4,)),
                tasks={"a": good, "c": bad},
                loss=CROSSENTROPY(True),
                epochs=1,
                seeds=1,
            )


def test_a_floor_above_the_curves_raises_after_the_first_task(tasks, capsys):
    # Bug: all scores are NaN, after all trainings and without a word.
    with pytest.raises(ValueError, match="`floor` must be below"):
        transfer_matrix(
            lambda inputs: [layers.Dense(4)(inputs)],
            keras.Input((4,)),
            tasks=tasks,
            loss=CROSSENTROPY(True),
            epochs=1,
            seeds=1,
            floor=50,
            verbose=1,
        )
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.no_backend
def test_wrong_arguments(tasks):
    one = dict([next(iter(tasks.items()))])
    (task,) = one.values()
    for arguments, message in (
        ({"tasks": one}, "`tasks` must hold at least two"),
        ({"tasks": [task, task]}, "`tasks` must be a dictionary of `TaskData`"),
        ({"tasks": {**tasks, "scratch": task}}, "names of the controls"),
        ({}, "`loss` must be given"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            transfer_matrix(
                lambda inputs: [layers.Dense(2)(inputs)],
                keras.Input((4,)),
                **{"tasks": tasks, **arguments},
            )
    with pytest.raises(ValueError, match="`validation_data` must be given"):
        TaskData(layers.Dense(2), task.x, task.y)
