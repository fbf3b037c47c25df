"""Difficulty scores: values and invalid scores."""

import keras
import numpy as np
import pytest

from keras_netopt import curriculum as engine
from keras_netopt.curriculum.as_difficulty import as_difficulty
from keras_netopt.curriculum.difficulty import (
    CombinedDifficulty,
    ScoringContext,
    to_percentiles,
)
from keras_netopt.curriculum.model_difficulty import to_probabilities
from keras_netopt.curriculum.sample_source import ArraySource
from keras_netopt.curriculum.training_dynamics import EL2N, ForgettingEvents

EAGER = keras.backend.backend() == "tensorflow"  # Tracing takes longer.


def scored(difficulty, x, y=None, model=None, state=None):
    source = ArraySource(np.asarray(x), y)
    found = as_difficulty(difficulty, source.samples)
    state = {} if state is None else state
    return found.score(ScoringContext(source, model, state))


def test_length_counts_tokens_without_padding():
    tokens = np.array([[3, 4, 0, 0], [1, 2, 3, 4], [9, 0, 9, 0]])
    np.testing.assert_array_equal(scored("length", tokens), [2, 4, 2])
    length = engine.SequenceLength(pad_token=9)
    np.testing.assert_array_equal(scored(length, tokens), [4, 4, 2])
    texts = np.array(["one two", "three"])
    np.testing.assert_array_equal(scored("length", texts), [2, 1])


def test_rarity_sums_negative_log_frequencies():
    tokens = np.array([[1, 1, 2], [1, 0, 0], [3, 0, 0]])
    share = {1: 3 / 5, 2: 1 / 5, 3: 1 / 5}
    wanted = [
        -sum(np.log(share[t]) for t in row if t) for row in tokens.tolist()
    ]
    np.testing.assert_allclose(scored("rarity", tokens), wanted)


def test_lengths_of_other_data_raise():
    with pytest.raises(ValueError, match="integer tokens.*Received: x with"):
        scored("length", np.zeros((3, 4)))


def test_a_function_is_called_on_batches_in_order():
    x = np.arange(5000.0)[:, None]
    found = scored(lambda x, y: 2 * x[:, 0], x)
    np.testing.assert_array_equal(found, 2 * x[:, 0])
    with pytest.raises(ValueError, match=r"Received: an array of shape \(2"):
        scored(lambda x, y: x, x)


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        (np.zeros(4), r"of the 3 samples.*shape \(4,\)"),
        (np.array([0.0, np.nan, 1.0]), r"finite.*difficulty\[1\]=nan"),
        (np.array([0.0, 1.0, np.inf]), r"finite.*difficulty\[2\]=inf"),
        (np.array(["a", "b", "c"]), "of the 3 samples.*dtype <U1"),
        ("hard", "one of 'length'.*Received: difficulty='hard'"),
    ],
)
def test_wrong_scores_raise(scores, text):
    with pytest.raises(ValueError, match=f"Argument `difficulty`.*{text}"):
        scored(scores, np.zeros((3, 1)))


def test_invalid_difficulty_raises():
    with pytest.raises(TypeError, match="Received: difficulty of type dict"):
        as_difficulty({}, 3)


def test_a_list_of_difficulties_uses_the_largest_percentile():
    first, second = np.array([1, 2, 3, 4]), np.array([40, 10, 20, 30])
    found = scored([first, second], np.zeros((4, 1)))
    np.testing.assert_array_equal(found, [1.0, 0.5, 0.75, 1.0])
    found = to_percentiles(second)
    np.testing.assert_array_equal(found, [1.0, 0.25, 0.5, 0.75])


def test_a_list_of_difficulties_keeps_the_state_of_each():
    state = {}
    model, x, y = _classifier()
    parts = CombinedDifficulty([ForgettingEvents(), as_difficulty("loss", 6)])
    scored(parts, x, y, model, state)
    scored(parts, x, y, model, state)
    assert set(state) == {"0.correct", "0.learnt", "0.counts"}


def _classifier(loss=None):
    """Logits that are the input itself."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(
                3,
                use_bias=False,
                kernel_initializer=keras.initializers.Identity(),
            ),
        ]
    )
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, run_eagerly=EAGER)
    x = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    return model, x, np.array([0, 1, 2, 0, 1, 2])


def test_losses_of_samples_are_not_reduced():
    model, x, y = _classifier()
    probability = to_probabilities(x)
    wanted = -np.log(probability[np.arange(6), y])
    found = engine.sample_losses(model, x, y)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert found.dtype == "float64"
    assert found.mean() == pytest.approx(
        float(keras.ops.convert_to_numpy(model.loss(y, model(x)))), rel=1e-5
    )


LOSSES = {
    "regression": ("mse", lambda x, y: ((x - y) ** 2).mean(axis=1)),
    "of a function": (
        lambda y, p: keras.ops.max(keras.ops.abs(y - p), axis=-1),
        lambda x, y: np.abs(x - y).max(axis=1),
    ),
    "several labels": (
        keras.losses.BinaryCrossentropy(from_logits=True),
        lambda x, y: (np.log1p(np.exp(x)) - x * y).mean(axis=1),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_kind_of_loss_has_values_per_sample(name):
    loss, wanted = LOSSES[name]
    model, x, _ = _classifier(loss)
    y = (np.arange(18).reshape(6, 3) % 2).astype("float32")
    found = engine.sample_losses(model, x, y)
    np.testing.assert_allclose(found, wanted(x, y), rtol=1e-4)


def test_losses_of_outputs_are_added_with_loss_weights():
    inputs = keras.Input((3,))
    model = keras.Model(
        inputs,
        {
            "a": keras.layers.Identity(name="a")(inputs),
            "b": keras.layers.Lambda(lambda t: 2 * t, name="b")(inputs),
        },
    )
    model.compile(
        loss={"a": "mse", "b": "mae"}, loss_weights={"a": 1.0, "b": 0.5}
    )
    _, x, _ = _classifier()
    y = {"a": np.zeros((6, 3)), "b": np.zeros((6, 3))}
    wanted = (x**2).mean(axis=1) + 0.5 * np.abs(2 * x).mean(axis=1)
    np.testing.assert_allclose(
        engine.sample_losses(model, x, y), wanted, rtol=1e-5
    )


@pytest.mark.parametrize("loss", [{"a": "mse"}, {"a": "mse", "b": None}])
def test_an_array_is_the_target_of_the_only_loss(loss):
    inputs = keras.Input((3,))
    outputs = {
        name: keras.layers.Dense(1, name=name)(inputs) for name in ("a", "b")
    }
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss)
    x, y = np.ones((4, 3), "float32"), np.arange(4.0, dtype="float32")[:, None]
    found = engine.sample_losses(model, x, y)
    first = keras.ops.convert_to_numpy(model(x)["a"])
    np.testing.assert_allclose(found, ((first - y) ** 2)[:, 0], rtol=1e-5)


def test_losses_of_tokens_are_averaged():
    tokens = np.random.default_rng(0).integers(0, 4, (5, 7))
    model = keras.Sequential([keras.Input((7,)), keras.layers.Embedding(4, 4)])
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    found = engine.sample_losses(model, tokens, tokens)
    for i in range(5):
        row = tokens[i : i + 1]
        assert found[i] == pytest.approx(
            float(keras.ops.convert_to_numpy(model.loss(row, model(row)))),
            rel=1e-5,
        )


class Masked(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Embedding(4, 3, mask_zero=True)
        self.head = keras.layers.Dense(4)

    def call(self, x):
        return self.head(self.hidden(x))


@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_losses_of_masked_tokens_do_not_count(kind, tmp_path):
    tokens = np.random.default_rng(0).integers(1, 4, (5, 7)).astype("int32")
    for i in range(5):
        tokens[i, 2 + i :] = 0
    model = Masked()
    if kind == "functional":
        inputs = keras.Input((7,), dtype="int32")
        model = keras.Model(inputs, Masked().call(inputs))
    model(tokens)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    before = [np.array(one) for one in model.variables]

    for _ in range(2):  # Not built and built; on new weights.
        found = engine.sample_losses(model, tokens, tokens)
        for i in range(5):
            row = tokens[i : i + 1]
            wanted = float(model.evaluate(row, row, verbose=0))
            assert found[i] == pytest.approx(wanted, rel=1e-5)
            shorter = loss(row[:, : 2 + i], model(row)[:, : 2 + i])
            shorter = float(keras.ops.convert_to_numpy(shorter))
            assert found[i] == pytest.approx(shorter, rel=1e-5)
    for one, old in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(one), old)
    model.set_weights([2 * one for one in before])
    changed = engine.sample_losses(model, tokens, tokens)
    assert np.abs(changed - found).max() > 1e-3
    loss = model.evaluate(tokens[:1], tokens[:1], verbose=0)
    assert changed[0] == pytest.approx(float(loss), rel=1e-5)
    if kind == "functional":
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        same = (one.predict(tokens, verbose=0) for one in (again, model))
        np.testing.assert_array_equal(*same)
    model.compile("sgd", lambda y, y_pred: keras.ops.ones_like(y_pred[..., 0]))
    for _ in range(2):
        ones = engine.sample_losses(model, tokens, tokens)
        np.testing.assert_allclose(ones, np.ones(5), rtol=1e-6)


class OwnPrediction(Masked):
    def predict_step(self, *arguments):
        found = super().predict_step(*arguments)
        if keras.backend.backend() == "jax":
            return 0.0 * found[0], found[1]
        return 0.0 * found


def test_a_prediction_of_the_users_own_is_used():
    tokens = np.zeros((5, 7), "int32")
    model = OwnPrediction()
    model(tokens)
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    found = engine.sample_losses(model, tokens, tokens)
    np.testing.assert_allclose(found, np.full(5, np.log(4.0)), rtol=1e-6)


def test_losses_need_a_compiled_built_model():
    model = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="must be built"):
        engine.sample_losses(model, np.zeros((2, 1)), np.zeros(2))
    with pytest.raises(TypeError, match="must be a Keras model"):
        engine.sample_losses("model", np.zeros((2, 1)), np.zeros(2))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises(
        ValueError,
        match=r"compiled with a loss.*Call `model.compile\(loss=...\)`",
    ):
        engine.sample_losses(model, np.zeros((2, 1)), np.zeros(2))


def test_teacher_confidence_and_loss():
    model, x, y = _classifier()
    found = scored(engine.Teacher(model, score_by="confidence"), x, y)
    np.testing.assert_allclose(
        found, 1 - to_probabilities(x)[np.arange(6), y], rtol=1e-5
    )
    losses = scored(engine.Teacher(model), x, y)
    np.testing.assert_array_equal(np.argsort(found), np.argsort(losses))
    with pytest.raises(ValueError, match="`score_by` must be one of"):
        engine.Teacher(model, score_by="age")


def test_probabilities_of_probabilities_and_logits():
    logits = np.array([[1.0, 3.0], [0.0, 0.0]])
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(to_probabilities(logits), wanted)
    np.testing.assert_allclose(to_probabilities(wanted), wanted)
    binary = to_probabilities(np.array([[0.3]]))
    np.testing.assert_allclose(binary, [[0.7, 0.3]])
    with pytest.raises(ValueError, match="output of shape"):
        to_probabilities(np.zeros((2, 3, 4)))


def test_el2n_is_the_norm_of_the_error():
    """With a learning rate of 0 the trained model is known."""

    _, x, y = _classifier()
    error = to_probabilities(x) - np.eye(3)[y]

    def frozen():
        model = _classifier()[0]
        model.compile(keras.optimizers.SGD(0.0), model.loss, run_eagerly=EAGER)
        return model

    found = scored(EL2N(frozen, runs=2), x, y)
    np.testing.assert_allclose(found, np.linalg.norm(error, axis=1), rtol=1e-4)


def test_forgetting_counts_changes_from_correct_to_wrong():
    """A table as a model: predictions at three scorings."""
    outputs = [
        [0, 1, 2, 0, 0, 0],
        [0, 0, 2, 1, 0, 0],
        [0, 1, 0, 0, 0, 2],
    ]
    y = np.array([0, 1, 2, 0, 1, 2])

    class TableModel:
        def predict(self, x, **arguments):
            return np.eye(3)[outputs[self.scoring]]

    model, state = TableModel(), {}
    for model.scoring in range(3):
        found = scored("forgetting", np.zeros((6, 1)), y, model, state)
    # Sample 1: correct, wrong, correct. Sample 2 is forgotten at the end,
    # sample 3 in the middle. Sample 4 is never correct, sample 5 at the end.
    np.testing.assert_array_equal(found, [0, 1, 1, 1, 2, 0])


def test_each_fold_is_scored_by_a_model_trained_without_it():
    """The model memorizes its training samples only."""
    x = np.eye(8, dtype="float32")
    y = np.arange(8.0).reshape(8, 1).astype("float32") + 1

    def build_model():
        model = keras.Sequential(
            [
                keras.Input((8,)),
                keras.layers.Dense(
                    1, use_bias=False, kernel_initializer="zeros"
                ),
            ]
        )
        # One step per sample memorizes it.
        model.compile(keras.optimizers.SGD(0.5), "mse", run_eagerly=EAGER)
        return model

    found = scored(
        engine.CrossValidatedLoss(build_model, folds=2, epochs=1, batch_size=1),
        x,
        y,
    )
    np.testing.assert_allclose(found, y[:, 0] ** 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"build_model": None}, TypeError, "`build_model` must be a function"),
        ({"folds": 1}, ValueError, "`folds` must be at least 2"),
        ({"epochs": 0}, ValueError, "`epochs` must be an integer"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be an integer"),
        ({"seed": -1}, ValueError, "`seed` must be an integer"),
    ],
)
def test_wrong_settings_of_folds_raise(arguments, error, text):
    with pytest.raises(error, match=f"Argument {text}.*Received: "):
        engine.CrossValidatedLoss(**{"build_model": _classifier, **arguments})


def test_a_function_that_builds_no_model_raises():
    data = np.zeros((4, 1)), np.zeros(4)
    with pytest.raises(TypeError, match="returns a Keras model"):
        scored(engine.CrossValidatedLoss(lambda: 3), *data)
    bare = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="returns a compiled model"):
        scored(engine.CrossValidatedLoss(lambda: bare), *data)


def test_el2n_of_a_model_that_cannot_be_cloned_raises():
    class Own(keras.Model):
        def __init__(self, width):
            super().__init__()
            self.dense = keras.layers.Dense(width)

        def call(self, inputs):
            return self.dense(inputs)

    model = Own(3)
    model.compile("sgd", "sparse_categorical_crossentropy")
    _, x, y = _classifier()
    with pytest.raises(ValueError, match=r"EL2N\(build_model\)"):
        scored("el2n", x, y, model)
    with pytest.raises(ValueError, match="needs the model being trained"):
        scored("el2n", x, y)
