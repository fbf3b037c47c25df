"""PonderNet: the paper's loss, inference, files and refused models."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_netopt as netopt
from keras_netopt.callbacks import ParameterScheduler
from keras_netopt.depth import PonderModel, halting
from keras_netopt.layers import AdaptiveComputation

STEPS = 4
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
BACKEND = keras.backend.backend()
EAGER = BACKEND == "tensorflow"  # Tracing takes longer.
JIT = False if BACKEND == "tensorflow" else "auto"


def to_numpy(tensor):
    return np.array(ops.convert_to_numpy(ops.stop_gradient(tensor)))


def make(optimizer="sgd", run_eagerly=EAGER, **arguments):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    ponder = AdaptiveComputation(
        layers.Dense(4, activation="tanh"),
        STEPS,
        mode="ponder",
        name="ponder",
        **{"halt_at": 0.5, **arguments},
    )
    x = ponder(layers.Dense(4, name="first")(inputs))
    model = PonderModel(inputs, layers.Dense(3, name="out")(x))
    rng = np.random.default_rng(0)
    bias = ponder.halting.get_weights()[1]
    ponder.halting.set_weights([rng.standard_normal((4, 1)), bias])
    model.compile(
        optimizer,
        LOSS,
        metrics=["accuracy"],
        jit_compile=JIT,
        run_eagerly=run_eagerly,
    )
    return model


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((32, 4)).astype("float32")
    return x, (x[:, 0] > 0).astype("int32")


def by_hand(model, x, y):
    """Losses (samples, steps), p, and the predictions of all steps."""
    ponder = model.get_layer("ponder")
    state, losses, h, predictions = model.get_layer("first")(x), [], [], []
    kernel, bias = ponder.halting.get_weights()
    for _ in range(STEPS):
        state = ponder.cell(state)
        logits = to_numpy(model.get_layer("out")(state))
        soft = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        losses.append(-np.log(soft[np.arange(len(y)), y]))
        predictions.append(logits)
        halting_logit = (to_numpy(state) @ kernel + bias)[:, 0]
        h.append(1 / (1 + np.exp(-halting_logit)))
    h[-1] = np.ones_like(h[-1])
    survival = np.cumprod(
        [np.ones_like(h[0])] + [1 - v for v in h[:-1]], axis=0
    )
    p = (np.array(h) * survival).T
    return np.array(losses).T, p, np.stack(predictions, axis=1)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_loss_is_that_of_the_paper(data, is_weighted):
    x, y = data
    model = make(keras.optimizers.SGD(0.0), kl_weight=0.5, prior=0.3)
    losses, p, predictions = by_hand(model, x, y)
    weight = np.linspace(0, 2, 32).astype("float32") if is_weighted else None
    logs = model.fit(
        x, y, sample_weight=weight, batch_size=32, verbose=0
    ).history

    prior = halting.geometric_prior(0.3, STEPS)
    divergence = (p * np.log(p / prior)).sum(1).mean()
    each = (p * losses).sum(1) * (weight if is_weighted else 1.0)
    assert logs["loss"][0] == pytest.approx(
        each.mean() + 0.5 * divergence, rel=1e-4
    )
    steps = p @ np.arange(1, STEPS + 1)
    assert logs["expected_steps"][0] == pytest.approx(steps.mean(), rel=1e-4)
    np.testing.assert_allclose(model.expected_steps(x, 9), steps, rtol=1e-4)
    chosen = (p.cumsum(1) >= 0.5).argmax(1)
    assert len(set(chosen)) > 1
    hits = (predictions[np.arange(32), chosen].argmax(-1) == y).mean()
    assert logs["accuracy"][0] == pytest.approx(hits, abs=1e-5)
    found = model.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
    assert set(found) == {"loss", "accuracy"}
    assert found["accuracy"] == pytest.approx(hits, abs=1e-5)
    halting_loss = losses[np.arange(32), chosen].mean()
    assert found["loss"] == pytest.approx(halting_loss, rel=1e-4)
    for plain in (model, model.inference()):
        np.testing.assert_allclose(
            to_numpy(plain(x)), predictions[np.arange(32), chosen], atol=1e-5
        )


def test_targets_of_higher_rank_are_weighted_per_step():
    inputs = keras.Input((3, 4))
    ponder = AdaptiveComputation(layers.Dense(4), 3, mode="ponder")
    model = PonderModel(inputs, layers.Dense(2)(ponder(inputs)))
    model.compile(
        keras.optimizers.SGD(0.0), "mse", jit_compile=JIT, run_eagerly=EAGER
    )
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 3, 4)), rng.standard_normal((6, 3, 2))
    x, y = x.astype("float32"), y.astype("float32")
    weight = np.arange(6.0)[:, None]
    found = model.fit(x, y, sample_weight=weight, batch_size=6, verbose=0)

    with ponder.netopt_all_steps() as record:
        states = to_numpy(ponder(x, training=True)).reshape(6, 3, 3, 4)
    p = to_numpy(record.p)
    predictions = to_numpy(model.layers[-1](states))
    losses = ((predictions - y[:, None]) ** 2).mean(-1) * weight[:, None]
    prior = halting.geometric_prior(0.2, 3)
    total = (p[..., None] * losses).sum(1).mean()
    total += 0.01 * (p * np.log(p / prior)).sum(1).mean()
    assert found.history["loss"][0] == pytest.approx(total, rel=1e-4)


def test_training_lowers_the_loss_and_files_round_trip(data, tmp_path):
    model = make(keras.optimizers.SGD(0.1), halt_at=None, seed=1)
    before = [to_numpy(v) for v in model.trainable_variables]
    first = model.fit(data[0], data[1], epochs=2, verbose=0).history
    assert first["loss"][1] < first["loss"][0]
    for old, variable in zip(before, model.trainable_variables, strict=True):
        assert not np.array_equal(old, to_numpy(variable))

    model.save(tmp_path / "ponder.keras")
    loaded = keras.saving.load_model(tmp_path / "ponder.keras")
    assert type(loaded) is PonderModel
    loaded.run_eagerly = EAGER
    outputs = [to_numpy(one(data[0])) for one in (model, loaded)]
    np.testing.assert_array_equal(*outputs)  # The random state is in the file.
    again = [
        one.fit(*data, shuffle=False, verbose=0).history
        for one in (model, loaded)
    ]
    assert again[0] == again[1]


def test_inference_at_the_median_is_a_plain_copy(data, tmp_path):
    model = make(halt_at=None, seed=1)
    sampled = [to_numpy(model(data[0])) for _ in range(2)]
    plain = model.inference(halt_at=0.5)
    _, p, predictions = by_hand(model, *data)

    assert not np.array_equal(*sampled)
    assert not isinstance(plain, PonderModel)
    chosen = (p.cumsum(1) >= 0.5).argmax(1)
    expected = predictions[np.arange(32), chosen]
    found = to_numpy(plain(data[0]))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    plain.set_weights([0 * w for w in plain.get_weights()])
    assert model.get_layer("out").get_weights()[0].any()
    with pytest.raises(ValueError, match="Argument `halt_at`"):
        model.inference(halt_at="mode")


def test_steps_are_sampled_with_probability_p(data):
    model = make(halt_at="sample", seed=3)
    _, p, predictions = by_hand(model, data[0][:1], data[1][:1])
    many = np.repeat(data[0][:1], 2000, axis=0)
    sampled = to_numpy(model(many))
    nearest = np.abs(sampled[:, None] - predictions).sum(-1).argmin(1)
    counts = np.bincount(nearest, minlength=STEPS) / 2000

    spread = 3 * np.sqrt(p[0] * (1 - p[0]) / 2000)
    assert (np.abs(counts - p[0]) <= spread).all()


def test_a_schedule_changes_the_weight_of_the_divergence(data):
    """In the compiled step, which must read the variable."""
    model = make(keras.optimizers.SGD(0.0), False, kl_weight=0.0, prior=0.9)
    scheduler = ParameterScheduler("kl_weight", {0.0: 0.0, "1ep": 10.0})
    losses = model.fit(
        *data, epochs=2, batch_size=32, callbacks=[scheduler], verbose=0
    ).history["loss"]
    _, p, _ = by_hand(model, *data)
    prior = halting.geometric_prior(0.9, STEPS)
    divergence = (p * np.log(p / prior)).sum(1).mean()

    assert losses[1] - losses[0] == pytest.approx(10 * divergence, rel=1e-3)


def test_unsupported_graphs_and_losses_are_refused():
    inputs = keras.Input((4,))
    ponder = AdaptiveComputation(layers.Dense(4), 2, mode="ponder")
    states = ponder(inputs)
    with pytest.raises(ValueError, match="must read only tensors"):
        PonderModel(inputs, layers.Add()([states, inputs]))
    with pytest.raises(ValueError, match="Argument `outputs` must be one"):
        PonderModel(inputs, [states, inputs])
    with pytest.raises(ValueError, match="must hold exactly one"):
        PonderModel(inputs, layers.Dense(2)(inputs))
    model = PonderModel(inputs, states)
    with pytest.raises(ValueError, match="Argument `loss` must have reduct"):
        model.compile("sgd", keras.losses.MeanSquaredError(reduction="sum"))


@pytest.mark.backend("tensorflow")
def test_inference_at_the_median_is_a_loop(data):
    import tensorflow as tf

    plain = make(halt_at=None).inference(halt_at=0.5)
    graph = tf.function(plain).get_concrete_function(data[0]).graph
    kinds = {one.type for one in graph.get_operations()}
    assert kinds & {"While", "StatelessWhile"}, kinds


@pytest.mark.slow
@pytest.mark.backend("tensorflow")
def test_inference_at_the_median_exports_as_a_loop(tmp_path):
    plain = make(halt_at=None).inference(halt_at=0.5)
    report = netopt.export.to_litert(plain, tmp_path / "ponder.tflite")

    assert "WHILE" in report.flags
