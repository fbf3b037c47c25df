"""Training and validation data in the forms that `fit` takes."""

import keras
import numpy as np
import pytest

from keras_netopt.compression.judge import Judge
from keras_netopt.compression.training_data import (
    ShuffledBatches,
    TrainingData,
    check_inputs,
    name_inputs,
)

X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return X[index * 4 : index * 4 + 4], Y[index * 4 : index * 4 + 4]


def test_every_epoch_has_an_order_of_its_own_that_a_seed_repeats():
    def read(data):
        epochs = []
        for _ in range(3):
            epochs.append([data[k][1].tolist() for k in range(len(data))])
            data.on_epoch_end()
        return epochs

    first = read(ShuffledBatches((X, Y), 4, 0))
    assert read(ShuffledBatches((X, Y), 4, 0)) == first
    assert read(ShuffledBatches((X, Y), 4, 1)) != first
    assert first[0] != first[1] != first[2]
    for epoch in first:
        assert [len(batch) for batch in epoch] == [4, 4, 2]
        assert sorted(sum(epoch, [])) == list(range(10))


def test_samples_and_steps_of_all_forms():
    both = {"a": X, "b": X}
    for data, steps in (
        (TrainingData(X, Y, None, 4), 3),
        (TrainingData(X.tolist(), Y.tolist(), None, 4), 3),
        (TrainingData(Batches(workers=1), None, None, 32), 3),
        (TrainingData(both, Y, np.ones(10), 5), 2),
        (TrainingData(iter_again(), None, None, 5), None),
    ):
        assert data.steps == steps
        x, y = data.sample(6)
        rows = keras.tree.flatten(x)[0]
        assert len(rows) == len(y) >= 6
        np.testing.assert_array_equal(rows[:, 0], 2 * y)
    weighted = TrainingData(both, Y, np.ones(10), 5).batches(0)
    assert len(weighted[0]) == 3


class iter_again:
    def __iter__(self):
        return iter([(X[:5], Y[:5]), (X[5:], Y[5:])])


class Endless:
    """Stands for a `tf.data.Dataset` with `repeat()`."""

    def cardinality(self):
        return -1

    def __iter__(self):
        raise AssertionError("read")


def test_inputs_that_fit_are_accepted():
    check_inputs(X, {"x": (None, 2)})
    check_inputs(X, {"x": (1, None)})
    check_inputs([X, Y], {"a": (None, 2), "b": (None,)})
    check_inputs({"b": Y, "a": X}, {"a": (None, 2), "b": (None,)})


def test_data_that_cannot_be_used_are_refused():
    cases = (
        (lambda: TrainingData(X, None, None, 4), "`y` must be given"),
        (lambda: TrainingData(X, Y[:4], None, 4), "equally many"),
        (lambda: TrainingData(iter([(X, Y)]), None, None, 4), "several times"),
        (lambda: TrainingData(Batches(), None, Y, 4), "`sample_weight`"),
        (lambda: TrainingData(3, None, None, 4), "data set"),
        (lambda: TrainingData(X * np.nan, Y, None, 4), "`x` must hold finite"),
        (lambda: TrainingData(X, Y * np.nan, None, 4), "`y` must hold finite"),
        (lambda: TrainingData(Endless(), None, None, 4), "without end"),
        (
            lambda: Judge.create(Endless(), ("x",), None, "auto"),
            "`validation_data` must be data that end",
        ),
        (
            lambda: TrainingData([(X[0], Y[0])], None, None, 4).sample(1),
            "must yield batches",
        ),
        (lambda: check_inputs(X[:, :1], {"x": (None, 2)}), "shape (10, 1)"),
        (lambda: check_inputs(X + np.inf, {"x": (None, 2)}), "finite"),
        (lambda: check_inputs({"a": X}, {"a": (None, 2), "b": (1,)}), "'b'"),
        (lambda: Judge.create(None, ("x",), None, "auto"), "must be given"),
        (lambda: Judge.create(X, ("x",), None, "auto"), "validation_data"),
        (
            lambda: Judge.create(iter([(X, Y)]), ("x",), None, "auto"),
            "several times",
        ),
        (lambda: Judge.create((X, Y), ("x",), ["mse"], "auto"), "one metric"),
        (lambda: Judge.create((X, Y), ("x",), None, "up"), "mode"),
    )
    failures = []
    for make, text in cases:
        try:
            make()
        except (TypeError, ValueError) as error:
            if text not in str(error):
                failures.append((text, str(error)))
        else:
            failures.append((text, "accepted"))
    assert not failures


def test_the_direction_of_a_metric_is_read_from_its_name():
    judge = Judge.create((X, Y), ("x",), None, "auto")
    assert judge.drop("accuracy", 0.9, 0.8) == pytest.approx(0.1)
    assert judge.drop("mean_squared_error", 0.5, 0.6) == pytest.approx(0.1)
    chosen = Judge.create((X, Y), ("x",), None, "min")
    assert chosen.drop("accuracy", 0.9, 0.8) == pytest.approx(-0.1)


def test_a_model_is_judged_as_its_file():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.set_weights([np.array([[1.0, 0, 0], [0, 1, 0]]), np.zeros(3)])
    labels = np.array([1] * 5 + [0] * 5)  # The second input is the larger.
    judge = Judge.create((X, labels), ("x",), None, "auto")
    assert judge.score_model(model) == ("accuracy", 0.5)
    unknown = Judge.create((X, labels), ("x",), "f1", "auto")
    with pytest.raises(ValueError, match="Argument `metric` .*metric='f1'"):
        unknown.score_model(model)
    batches = Judge.create(
        [(X[:5], labels[:5]), (X[5:], labels[5:], np.zeros(5))],
        ("x",),
        None,
        "auto",
    )
    assert batches.score_model(model) == ("accuracy", 1.0)


def test_inputs_get_the_names_of_the_file():
    assert name_inputs(X, ("x",)) is X
    assert name_inputs([X], ("x",)) is X
    assert list(name_inputs([X, Y], ("p", "q"))) == ["p", "q"]
    given = {"p": X, "q": Y}
    assert name_inputs(given, ("p", "q")) is given
