"""The training step receives the batches of the plan."""

import keras
import numpy as np
import pytest

from keras_netopt.curriculum import (
    CurriculumData,
    EasyFirst,
    SelfPaced,
    make_plan,
)
from keras_netopt.curriculum.dataset_adapters import as_sample_source
from keras_netopt.curriculum.loss_weights import count_loss_axes
from keras_netopt.curriculum.sample_source import ArraySource

N, BATCH = 64, 8
EAGER = keras.backend.backend() == "tensorflow"  # Tracing takes longer.
X = np.arange(1.0, N + 1, dtype="float32")[:, None]
Y = np.zeros((N, 1), "float32")


class Planner(keras.callbacks.Callback):
    def __init__(self, data):
        super().__init__()
        self.data, self.plans = data, []

    def on_epoch_begin(self, epoch, logs=None):
        plan = make_plan(
            X[:, 0],
            np.linspace(0.3, 1.0, self.data.steps),
            batch_size=BATCH,
            ordering=EasyFirst(),
            epoch=epoch,
        )
        self.plans.append(plan)
        self.data.set_plan(plan)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_each_step_receives_its_row_of_the_plan(workers, echo, received):
    """Default arguments of `fit`, with validation; twice on one model."""
    data = CurriculumData(ArraySource(X, Y))
    data_set = data.make_adapter(BATCH, workers=workers)
    planner = Planner(data)
    for epochs in (3, 2):
        echo.fit(
            data_set,
            epochs=epochs,
            verbose=0,
            validation_data=(X, Y),
            callbacks=[planner, received],
        )

    wanted = [X[plan.ids].mean(axis=(1, 2)) for plan in planner.plans]
    assert len(wanted) == 5
    assert not np.allclose(wanted[0], wanted[1])
    np.testing.assert_allclose(received.epochs, wanted, rtol=1e-4)


def test_without_a_plan_the_order_is_natural(echo):
    data = CurriculumData(ArraySource(X, Y))
    loss = echo.evaluate(data.make_adapter(BATCH), verbose=0)
    assert loss == pytest.approx(X.mean(), rel=1e-5)


def test_every_epoch_has_the_same_number_of_steps(echo, received):
    data = CurriculumData(ArraySource(X[:60], Y[:60]))
    echo.fit(
        data.make_adapter(BATCH), epochs=2, verbose=0, callbacks=[received]
    )
    assert [len(epoch) for epoch in received.epochs] == [7, 7]
    data_set = data.make_adapter(BATCH, steps_per_epoch=11)
    received.epochs.clear()
    echo.fit(data_set, epochs=2, verbose=0, callbacks=[received])
    assert [len(epoch) for epoch in received.epochs] == [11, 11]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_smaller_last_batch_is_kept_on_request(workers, echo, received):
    """Batches of arrays, and those that threads read."""
    data = CurriculumData(ArraySource(X[:60], Y[:60]))
    adapter = data.make_adapter(BATCH, drop_remainder=False, workers=workers)
    echo.fit(adapter, epochs=1, verbose=0, callbacks=[received])
    np.testing.assert_allclose(
        received.epochs[0][:7], X[:56].reshape(7, 8).mean(axis=1), rtol=1e-4
    )
    # Keras' mean of the epoch weights the batches by their sizes.
    mean = np.mean([*received.epochs[0]])
    assert mean == pytest.approx(X[:60].mean(), rel=1e-4)
    sizes = [len(batch[0]) for batch in adapter]
    assert sizes == [8] * 7 + [4]
    loss = echo.evaluate(adapter, verbose=0)
    assert loss == pytest.approx(X[:60].mean(), rel=1e-4)


def test_data_that_fill_their_batches_have_no_smaller_one():
    data = CurriculumData(ArraySource(X, Y))
    data.make_adapter(BATCH, drop_remainder=False)
    assert (data.steps, data.last_batch_size, data.dropped) == (8, None, 0)
    data.make_adapter(60)
    assert (data.steps, data.last_batch_size, data.dropped) == (1, None, 4)
    data.make_adapter(60, steps_per_epoch=3)
    assert (data.steps, data.last_batch_size, data.dropped) == (3, None, 0)


@pytest.mark.no_backend
@pytest.mark.parametrize("buffer_size", [None, 5, 100])
def test_plan_with_a_smaller_last_batch_is_one_pass(buffer_size):
    samples, size = 23, 5
    plan = make_plan(
        np.arange(float(samples)),
        np.ones(5),
        batch_size=size,
        last_batch_size=3,
        buffer_size=buffer_size,
    )
    assert plan.sample_counts().tolist() == [1] * samples
    assert (plan.ids >= 0).sum(axis=1).tolist() == [5, 5, 5, 5, 3]
    assert sorted(plan.planned_ids()) == list(range(samples))


@pytest.mark.no_backend
def test_weights_of_a_smaller_last_batch_have_a_mean_of_one():
    plan = make_plan(
        np.linspace(0, 1, 23),
        np.full(5, 0.6),
        batch_size=5,
        last_batch_size=3,
        ordering=SelfPaced("linear"),
    )
    used = plan.weights[plan.ids >= 0]
    assert len(used) == 23 and used.mean() == pytest.approx(1, rel=1e-5)
    assert len(np.unique(used)) > 5


def test_weights_multiply(echo, received):
    """Sample weights, class weights and weights of the plan."""
    classes = (np.arange(N) % 2).astype("int32")[:, None]
    own = np.linspace(0.5, 1.0, N).astype("float32")
    data = CurriculumData(ArraySource(X, classes, own))
    data_set = data.make_adapter(BATCH, class_weight={1: 3.0})

    def plan(epoch):
        found = make_plan(X[:, 0], np.ones(8), batch_size=BATCH)
        weights = np.linspace(0.5, 1.5, 64).reshape(8, 8).astype("float32")
        object.__setattr__(found, "weights", weights)
        data.set_plan(found)

    planner = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: plan(epoch)
    )
    echo.fit(data_set, verbose=0, callbacks=[planner, received])

    current = make_plan(X[:, 0], np.ones(8), batch_size=BATCH)
    ids = current.ids
    factor = np.where(ids % 2 == 1, 3.0, 1.0) * own[ids]
    factor = factor * np.linspace(0.5, 1.5, 64).reshape(8, 8)
    errors = np.abs(X[ids, 0] - classes[ids, 0])
    wanted = (errors * factor).mean(axis=1)
    np.testing.assert_allclose(received.epochs[0], wanted, rtol=1e-3)


@pytest.mark.parametrize(
    ("y", "given", "expected"),
    [
        (np.zeros(3), None, 1),
        (np.zeros((3, 5)), None, 1),
        (np.full((3, 5), 7), None, 2),
        (np.eye(5, dtype="int32")[:3], None, 1),
        (np.eye(5, dtype="int32")[:3], True, 2),
        (np.full((3, 5), 7), False, 1),
        (np.zeros((3, 5, 9)), None, 2),
        (np.full((3, 5, 9), 7), None, 3),
        (np.eye(5, dtype="int32")[np.ones((3, 5), int)], None, 2),
        (np.full((3, 5, 1), 7), None, 2),
        (np.zeros((3, 5, 5, 1)), None, 3),
        ((np.zeros(3), np.zeros(3)), None, 1),
        (None, None, 1),
    ],
)
def test_weights_have_the_axes_of_the_loss(y, given, expected):
    assert count_loss_axes(y, given) == expected


def test_token_losses_get_token_weights(received):
    tokens = np.random.default_rng(0).integers(0, 5, (32, 6)).astype("int32")
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(5, 4),
            keras.layers.Dense(5),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=EAGER,
    )
    plain = float(keras.ops.convert_to_numpy(model.loss(tokens, model(tokens))))
    data = CurriculumData(ArraySource(tokens, tokens))
    model.fit(data.make_adapter(8), verbose=0, callbacks=[received])
    assert np.mean(received.epochs) == pytest.approx(plain, rel=1e-4)


def test_several_inputs_and_outputs_train():
    first, second = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    both = keras.layers.Concatenate()([first, second])
    model = keras.Model(
        {"a": first, "b": second},
        {
            "c": keras.layers.Dense(1, name="c")(both),
            "d": keras.layers.Dense(2, name="d")(both),
        },
    )
    model.compile("sgd", {"c": "mse", "d": "mae"}, run_eagerly=EAGER)
    x = {"a": np.ones((16, 2)), "b": np.ones((16, 3))}
    y = {"c": np.ones((16, 1)), "d": np.zeros((16, 2))}
    data = CurriculumData(as_sample_source(x, y))
    history = model.fit(data.make_adapter(8), verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_irreducible_loss_is_the_second_column_of_the_weights():
    data = CurriculumData(ArraySource(X, Y))
    data_set = data.make_adapter(BATCH, irreducible_loss=10 * X[:, 0])
    data.set_plan(make_plan(X[:, 0], np.ones(8), batch_size=BATCH))
    for (_, _, weight), ids in zip(data_set, data.plan_ids(), strict=True):
        np.testing.assert_array_equal(weight[:, 0], np.ones(BATCH))
        np.testing.assert_array_equal(weight[:, 1], 10 * X[ids, 0])
    data.set_plan(None)
    assert {weight.shape for _, _, weight in data_set} == {(BATCH,)}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"batch_size": 65},
            "`batch_size` must be at most the number of samples",
        ),
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1"),
        ({"steps_per_epoch": 0}, "`steps_per_epoch` must be an integer"),
        ({"class_weight": {0: 2.0}}, "`class_weight` needs targets"),
        (
            {"irreducible_loss": np.ones(3)},
            "`irreducible_loss` must hold one finite number",
        ),
        ({"workers": -1}, "`workers` must be an integer"),
        (
            {"drop_remainder": False, "steps_per_epoch": 2},
            "`drop_remainder` must be True with `steps_per_epoch`",
        ),
    ],
)
def test_wrong_arguments_raise(arguments, text):
    regression = CurriculumData(ArraySource(X, X / 3))
    with pytest.raises(ValueError, match=rf"Argument {text}.*Received: "):
        regression.make_adapter(**{"batch_size": BATCH, **arguments})


def test_negative_class_weights_raise():
    data = CurriculumData(ArraySource(X, np.arange(N) % 2))
    with pytest.raises(ValueError, match="finite weights of at least 0"):
        data.make_adapter(BATCH, class_weight={0: -1.0})


def test_threads_end_when_a_pass_is_closed_early():
    import threading

    data = CurriculumData(ArraySource(X, Y))
    before = threading.active_count()
    rows = iter(data.make_adapter(BATCH, workers=3))
    next(rows)
    rows.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("x", [X, {"a": X, "b": X}, (X, X)], ids=type)
def test_batches_without_targets_are_those_of_fit(x):
    """A `train_step(data)` of a model that needs no targets works on both."""
    batch = next(iter(CurriculumData(ArraySource(x)).make_adapter(BATCH)))
    wanted = keras.utils.pack_x_y_sample_weight(
        keras.tree.map_structure(lambda a: a[:BATCH], x)
    )
    keras.tree.assert_same_structure(batch, wanted)
