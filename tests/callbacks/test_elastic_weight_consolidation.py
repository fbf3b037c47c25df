"""ElasticWeightConsolidation: information, penalty, tasks, and bad input."""

import keras
import numpy as np
import pytest
from damaged_files import find_unnamed
from keras import layers

from keras_netopt.callbacks import (
    ElasticWeightConsolidation as EWC,
)
from keras_netopt.callbacks import (
    Pruning,
)
from keras_netopt.continual.likelihood import Likelihood
from keras_netopt.warnings import NoEffectWarning, NotIntendedUseWarning

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype("float32")
Y = (np.arange(24) % 3).astype("int32")
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def tasks(count=2, units=3, rate=0.1, loss=LOGITS, activation=None, **options):
    """Models with one hidden layer in common and a head of their own."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,))
    x = layers.Dense(6, activation="tanh", name="hidden")(inputs)
    found = []
    for i in range(count):
        head = layers.Dense(units, activation=activation, name=f"head{i}")
        model = keras.Model(inputs, head(x), name=f"task{i}")
        if BACKEND == "tensorflow":
            options = {"run_eagerly": True, **options}
        model.compile(keras.optimizers.SGD(rate), loss, **options)
        found.append(model)
    return found


def fit(model, *callbacks, x=X, y=Y, **changed):
    arguments = {"batch_size": 12, "epochs": 1, "shuffle": False, **changed}
    return model.fit(
        x, y, callbacks=list(callbacks), verbose=0, **arguments
    ).history


def consolidated(model, **options):
    ewc = EWC(**{"fisher_samples": 24, **options})
    ewc.consolidate(model, X)
    return ewc


def read(tensor):
    return keras.ops.convert_to_numpy(keras.ops.stop_gradient(tensor))


def shift(model, by):
    kernel = model.get_layer("hidden").kernel
    kernel.assign(read(kernel) + np.float32(by))


def fisher(report):
    return {row.weight: row.fisher * row.size for row in report.rows}


@pytest.mark.parametrize(
    ("loss", "activation", "expected"),
    [
        # The variance of the gradient with respect to the outputs.
        (LOGITS, None, lambda z: (p := softmax(z)) * (1 - p)),
        ("categorical_crossentropy", "softmax", lambda p: p * (1 - p)),
        ("binary_crossentropy", "sigmoid", lambda p: p * (1 - p)),
        ("mse", None, np.ones_like),
    ],
    ids=["logits", "softmax", "sigmoid", "regression"],
)
def test_the_information_is_the_variance_of_single_gradients(
    loss, activation, expected
):
    """Squares of a batch's gradient would be near 0, labels all alike."""
    keras.utils.set_random_seed(3)
    head = layers.Dense(3, activation=activation, name="head")
    model = keras.Sequential([keras.Input((4,)), head])
    model.compile("sgd", loss)
    head.bias.assign([2.0, 1.0, 0.0])  # Some outcomes are likely.
    x = np.repeat(X[:1], 200, 0)
    report = EWC(fisher_samples=200).consolidate(model, x)
    found = fisher(report)
    wanted = expected(read(model(X[:1])).astype("float64"))

    path = head.bias.path
    assert found[path] == pytest.approx(wanted.sum(), 0.2)
    squares = (X[0].astype("float64") ** 2).sum()
    assert found[head.kernel.path] == pytest.approx(found[path] * squares, 1e-3)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_the_penalty_is_logged_and_part_of_the_training_loss_alone():
    first, second = tasks(rate=0.0)
    ewc = consolidated(first, strength=50.0)
    at_anchor = fit(second, ewc, validation_data=(X, Y))
    assert at_anchor["ewc_penalty"] == [0.0]
    assert at_anchor["loss"] == pytest.approx(at_anchor["val_loss"])
    found = []
    for step in (0.25, 0.25):
        shift(first, step)
        history = fit(second, ewc, validation_data=(X, Y))
        found += history["ewc_penalty"]
        apart = history["loss"][0] - history["val_loss"][0]
        assert history["ewc_penalty"][0] == pytest.approx(apart, 1e-4)
        assert second.evaluate(X, Y, verbose=0) == pytest.approx(
            history["val_loss"][0]
        )
    information = ewc.report().rows[0]
    assert found[0] == pytest.approx(
        25.0 * information.fisher * information.size * 0.25**2, 1e-4
    )
    assert found[1] == pytest.approx(4 * found[0], 1e-4)
    assert ewc.report().penalty == pytest.approx(found[1], 1e-4)


def test_a_strong_penalty_keeps_the_first_task():
    moved = []
    for strength in (0.01, 100.0):
        first, second = tasks(rate=0.03)
        before = read(first(X))
        ewc = consolidated(first, strength=strength)
        fit(second, ewc, y=2 - Y, epochs=20)
        moved.append(np.abs(read(first(X)) - before).mean())

    assert moved[1] < 0.3 * moved[0], moved


def test_each_task_moves_the_anchor():
    """A step that was compiled with old anchors must not be used again."""
    first, second, third = tasks(3, rate=0.0)
    ewc = consolidated(first, strength=2.0)
    shift(first, 0.5)
    assert fit(second, ewc)["ewc_penalty"][0] > 0
    report = ewc.consolidate(second, X)

    assert report.tasks == 2
    assert second.get_layer("head1").kernel.path in fisher(report)
    ewc.shared_head = True
    assert fit(second, ewc)["ewc_penalty"] == [0.0]
    assert fit(third, ewc)["ewc_penalty"] == [0.0]
    shift(first, 0.5)
    assert fit(third, ewc)["ewc_penalty"][0] > 0


def test_the_report_outlives_a_further_consolidate():
    first, second = tasks()
    ewc = consolidated(first)
    fit(second, ewc)
    before = fisher(ewc.report())
    ewc.consolidate(second, X)
    after = fisher(ewc.report())

    assert after.keys() == before.keys()
    assert all(after[name] > before[name] for name in before)


def test_weights_that_are_not_finite_are_refused():
    first, second = tasks()
    ewc = consolidated(first)
    kernel = second.get_layer("head1").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(ValueError, match="must have finite weights"):
        ewc.consolidate(second, X)
    assert ewc.consolidate(first, X).tasks == 2


def test_gamma_weights_earlier_tasks():
    found = []
    for gamma in (0.0, 0.5, 1.0):
        (model,) = tasks(1)
        ewc = consolidated(model, gamma=gamma)
        kernel = model.get_layer("hidden").kernel.path
        found.append(fisher(ewc.consolidate(model, X))[kernel])

    assert found[1] - found[0] == pytest.approx(found[2] - found[1], 1e-3)
    assert found[1] > found[0]


def test_several_outputs_count_as_their_losses_do():
    inputs = keras.Input((4,))
    x = layers.Dense(5, name="hidden")(inputs)
    outputs = {
        "a": layers.Dense(3, name="a")(x),
        "b": layers.Dense(1, activation="sigmoid", name="b")(x),
    }
    model = keras.Model(inputs, outputs)
    found = []
    for weight in (0.0, 1.0, 4.0):
        model.compile(
            keras.optimizers.SGD(0.0),
            {"a": LOGITS, "b": "binary_crossentropy"},
            loss_weights={"a": 1.0, "b": weight},
            run_eagerly=BACKEND == "tensorflow",
        )
        fit(model, y={"a": Y, "b": (Y > 1).astype("float32")})
        report = consolidated(model).consolidate(model, X)
        found.append(fisher(report))
    at = {row: [one[row] for one in found] for row in found[0]}

    assert at["a/kernel"] == pytest.approx([at["a/kernel"][0]] * 3, 1e-3)
    assert at["b/kernel"][0] == 0
    assert at["b/kernel"][2] == pytest.approx(4 * at["b/kernel"][1], 1e-3)


def test_tokens_of_padding_do_not_count():
    embedding = layers.Embedding(9, 3, mask_zero=True)
    short, padded = (
        embedding(keras.ops.convert_to_tensor(np.array([ids], "int32")))
        for ids in ([1, 2], [1, 2, 0, 0])
    )
    for kind in ("softmax", "sigmoid", "mse"):
        likelihood = Likelihood(kind, True)
        targets = np.eye(3, dtype="float32")[None, [0, 2, 1, 1]]
        targets = keras.ops.convert_to_tensor(targets)
        one = likelihood.surprise(short, targets[:, :2])
        other = likelihood.surprise(padded, targets)
        assert float(read(one)) == pytest.approx(float(read(other)))


def test_consolidating_changes_no_model():
    inputs = keras.Input((4,))
    x = layers.BatchNormalization()(layers.Dense(5)(inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.Dropout(0.5)(x)))
    model.compile("sgd", LOGITS)
    before = [np.array(v) for v in model.get_weights()]
    reports = [str(EWC().consolidate(model, (X, Y))) for _ in range(2)]

    assert reports[0] == reports[1]
    for mine, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_frozen_weights_are_not_held():
    first, second = tasks()
    first.get_layer("hidden").bias.trainable = False
    ewc = consolidated(first)
    fit(second, ewc)

    names = [row.weight for row in ewc.report().rows]
    assert names == [first.get_layer("hidden").kernel.path]


def test_saved_anchors_hold_in_another_process(tmp_path):
    path = tmp_path / "anchors.npz"
    first, _ = tasks(rate=0.0)
    ewc = consolidated(first)
    ewc.save(path, first)
    shift(first, 0.5)
    ewc.shared_head = True
    expected = fit(first, ewc)
    again, second = tasks(rate=0.0)
    loaded = EWC(fisher_samples=24, shared_head=True)
    loaded.load(path, again)
    shift(again, 0.5)

    assert fit(again, loaded)["ewc_penalty"] == expected["ewc_penalty"]
    fit(second, loaded)
    assert len(loaded.report().rows) == 2
    wrong = find_unnamed(
        path,
        lambda copy: loaded.load(copy, again),
        state=lambda: len(loaded.report().rows),
        remedy="Consolidate the task again",
    )
    assert wrong == []
    wide = keras.Sequential([keras.Input((4,)), layers.Dense(9)])
    with pytest.raises(ValueError, match="Received: weight 0 of shape"):
        loaded.load(path, wide)
    with pytest.raises(ValueError, match="must hold consolidated weights"):
        loaded.save(path, wide)


def test_a_shared_head_gives_a_warning():
    (model,) = tasks(1)
    with pytest.warns(NotIntendedUseWarning, match="head of its own") as told:
        fit(model, consolidated(model))
    assert len([w for w in told if "head" in str(w.message)]) == 1
    fit(model, consolidated(model, shared_head=True))


def test_without_strength_one_warning_says_so():
    first, second = tasks()
    with pytest.warns(NoEffectWarning, match="`strength` above 0"):
        fit(second, consolidated(first, strength=0.0))


def test_what_cannot_be_held_is_refused_before_the_first_step():
    first, second = tasks()
    (other,) = tasks(1)
    before = [np.array(v) for v in second.get_weights()]
    with pytest.raises(ValueError, match="call `consolidate"):
        fit(second, EWC())
    with pytest.raises(ValueError, match="which shares none"):
        fit(other, consolidated(first))
    ewc = consolidated(first)
    with pytest.raises(ValueError, match="once per `fit`"):
        fit(second, ewc, consolidated(first))
    for mine, value in zip(before, second.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, value)
    fit(second, ewc, Pruning(0.5))


@keras.saving.register_keras_serializable("ewc")
class OwnStep(keras.Model):
    def train_step(self, data):
        return {"loss": 0.0}


def test_a_step_without_compute_loss_is_refused():
    first, _ = tasks()
    model = OwnStep(first.inputs, first.outputs)
    model.compile("sgd", LOGITS)
    with pytest.raises(ValueError, match="calls `self.compute_loss"):
        fit(model, consolidated(first))


def test_outputs_of_an_unknown_kind_are_refused():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(3, activation="tanh")(inputs))
    with pytest.raises(
        ValueError, match=r"Argument `loss` must .*'tanh'|other"
    ):
        EWC().consolidate(model, X)
    EWC(fisher_samples=2).consolidate(model, X, loss="mse")
    model = keras.Model(inputs, layers.Dense(3, activation="tanh")(inputs))
    model.compile("sgd", lambda y, z: keras.ops.mean(z, -1))
    with pytest.raises(ValueError, match="Argument `loss` must"):
        EWC().consolidate(model, X)
    with pytest.raises(ValueError, match="Argument `from_logits` must"):
        EWC().consolidate(model, X, loss="softmax")
    one = keras.Model(inputs, layers.Dense(1)(inputs))
    with pytest.raises(ValueError, match="'sigmoid' or 'mse'"):
        EWC().consolidate(one, X, loss="softmax")
    with pytest.raises(ValueError, match="must be one of"):
        EWC().consolidate(one, X, loss="kl")
    one.trainable = False
    with pytest.raises(ValueError, match="must have trainable weights"):
        EWC().consolidate(one, X, loss="mse")
    with pytest.raises(ValueError, match="must be built"):
        EWC().consolidate(keras.Sequential([layers.Dense(1)]), X)
