"""Scores before training: against closed forms and finite differences."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_netopt.sparsity import Grasp, Pruner, Snip, SynFlow, prune, select
from keras_netopt.sparsity.class_samples import take_class_samples
from keras_netopt.training.gradients import compute_gradients

L = keras.layers
RNG = np.random.default_rng(0)
NAMES = ("snip", "grasp", "synflow")


def normal(*shape):
    return RNG.normal(size=shape).astype("float32")


def fill(model, scale=0.5):
    """The same weights on every backend."""
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            variable.assign(scale * rng.normal(size=variable.shape))
    return model


def measure(score, model, data=None):
    targets = select(model).targets
    with score.open(model, targets, data) as run:
        return run(None)


def linear(**compiled):
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, use_bias=False)])
    model.compile("sgd", "mse", **compiled)
    return fill(model)


@pytest.mark.parametrize("weighted", (False, True))
def test_snip_is_weight_times_the_gradient_over_all_batches(weighted):
    x, y = normal(200, 4), normal(200, 3)  # Two batches of unequal size.
    factors = np.linspace(0.0, 2.0, 200, dtype="float32")
    data = (x, y, factors) if weighted else (x, y)
    model = linear()
    (found,) = measure(Snip(), model, data)
    (weight,) = model.get_weights()
    errors = (x @ weight - y) * (factors[:, None] if weighted else 1.0)
    gradient = x.T @ errors * 2 / (200 * 3)
    np.testing.assert_allclose(found, np.abs(weight * gradient), rtol=1e-4)
    batches = [
        tuple(part[i : i + 50] for part in data) for i in range(0, 200, 50)
    ]
    (again,) = measure(Snip(), model, batches)
    np.testing.assert_allclose(found, again, rtol=1e-4)


@pytest.mark.parametrize("score", (Snip(), Grasp()), ids=str)
def test_a_sum_over_samples_weights_every_batch_alike(score):
    """Bug: a sum is multiplied by the samples of its batch once more."""
    x, y = normal(200, 4), normal(200, 3)
    model = linear()
    model.compile("sgd", keras.losses.MeanSquaredError(reduction="sum"))
    parts = (slice(0, 20), slice(20, 150), slice(150, 200))
    (whole,) = measure(score, model, [(x, y)])
    (found,) = measure(score, model, [(x[p], y[p]) for p in parts])
    power = 1 if isinstance(score, Snip) else 2
    np.testing.assert_allclose(found * 3**power, whole, rtol=1e-3)


def tanh_net(temperature=None):
    outputs = [] if temperature is None else [L.Rescaling(1 / temperature)]
    model = keras.Sequential(
        [keras.Input((5,)), L.Dense(6, "tanh"), L.Dense(3), *outputs]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    return fill(model)


def test_grasp_is_weight_times_the_finite_difference_of_gradients():
    x, y = normal(40, 5), RNG.integers(0, 3, 40)
    model = tanh_net()
    found = measure(Grasp(temperature=1.0), model, (x, y))
    kernels = [target.variable for target in select(model).targets]
    starts = [np.array(ops.convert_to_numpy(v)) for v in kernels]
    gradient = compute_gradients(model, x, y, variables=kernels)

    def gradient_at(step):
        for variable, start, one in zip(kernels, starts, gradient, strict=True):
            variable.assign(start + step * one)
        return compute_gradients(model, x, y, variables=kernels)

    ahead, behind = gradient_at(0.05), gradient_at(-0.05)
    expected = [
        w * (a - b) / 0.1 for w, a, b in zip(starts, ahead, behind, strict=True)
    ]
    gradient_at(0.0)
    one, other = (
        np.concatenate([part.ravel() for part in parts])
        for parts in (found, expected)
    )
    assert np.linalg.norm(one - other) < 1e-3 * np.linalg.norm(other)
    # The smallest w * Hg are pruned: half of them is negative.
    masks = Pruner.create(Grasp(temperature=1.0), min_kept=0).find_masks(
        model, select(model).targets, starts, 0.5, (x, y)
    )
    kept = np.concatenate([f[m] for f, m in zip(found, masks, strict=True)])
    gone = np.concatenate([f[~m] for f, m in zip(found, masks, strict=True)])
    assert gone.min() < 0 < kept.max() and kept.min() >= gone.max()


def test_the_temperature_divides_logits_only():
    x, y = normal(30, 5), RNG.integers(0, 3, 30)
    hot = measure(Grasp(), tanh_net(), (x, y))
    divided = measure(Grasp(temperature=1.0), tanh_net(200.0), (x, y))
    for one, other in zip(hot, divided, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-12)
    plain = linear()
    data = normal(20, 4), normal(20, 3)
    (one,) = measure(Grasp(), plain, data)
    (other,) = measure(Grasp(temperature=1.0), plain, data)
    assert np.array_equal(one, other) and np.abs(one).max() > 0


def relu_mlp(depth=4, scale=0.5):
    model = keras.Sequential([keras.Input((6,))])
    for _ in range(depth - 1):
        model.add(L.Dense(8, "relu", use_bias=False))
    model.add(L.Dense(3, use_bias=False))
    return fill(model, scale)


@pytest.mark.parametrize(("depth", "scale"), ((4, 0.5), (12, 1e34)))
def test_every_layer_carries_the_whole_flow(depth, scale):
    """At 1e34 a weight, R exceeds the range of float64."""
    scores = measure(SynFlow(), relu_mlp(depth, scale))
    np.testing.assert_allclose([s.sum() for s in scores], 1.0, rtol=1e-5)


def residual_net():
    x = given = keras.Input((8, 8, 3))
    x = L.Conv2D(8, 3, padding="same", use_bias=False)(x)
    for _ in range(3):
        y = L.BatchNormalization()(x)
        y = L.Conv2D(8, 3, padding="same", activation="relu")(y)
        x = L.Add()([x, L.Conv2D(8, 3, padding="same")(y)])
    x = L.Dense(16, "relu")(L.Flatten()(x))
    return fill(keras.Model(given, L.Dense(4)(x)), 0.1)


def cnn():
    return fill(
        keras.Sequential(
            [
                keras.Input((12, 12, 3)),
                L.Conv2D(8, 3, activation="relu"),
                L.MaxPooling2D(),
                L.Conv2D(16, 3, activation="relu"),
                L.Flatten(),
                L.Dense(40, "relu"),
                L.Dense(4, "softmax"),
            ]
        ),
        0.1,
    )


def wide_mlp():
    sizes = (100, 40, 10)
    layers = [L.Dense(n, "relu") for n in sizes]
    return fill(keras.Sequential([keras.Input((200,)), *layers]), 0.1)


@pytest.mark.parametrize("make", (wide_mlp, cnn, residual_net))
def test_synflow_keeps_every_layer_alive_at_99_percent(make):
    model = make()
    before = [np.array(ops.convert_to_numpy(v)) for v in model.variables]
    targets = select(model).targets
    weights = [np.array(ops.convert_to_numpy(t.variable)) for t in targets]
    pruner = Pruner.create(SynFlow(30), min_kept=0)
    masks = pruner.find_masks(model, targets, weights, 0.99)
    kept = [int(mask.sum()) for mask in masks]
    total = sum(mask.size for mask in masks)
    assert sum(kept) == total - round(0.99 * total)
    assert min(kept) >= 3, kept
    after = [np.array(ops.convert_to_numpy(v)) for v in model.variables]
    assert all(map(np.array_equal, before, after))
    assert not [v for v in vars(model.layers[-1]) if v == "call"]
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    # The paths of what is kept still reach the outputs.
    with SynFlow().open(model, targets, None) as run:
        assert all(score.sum() > 0 for score in run(masks))


def test_one_round_of_synflow_may_empty_a_layer():
    model = wide_mlp()
    targets = select(model).targets
    weights = [np.array(ops.convert_to_numpy(t.variable)) for t in targets]
    pruner = Pruner.create(SynFlow(rounds=1), min_kept=0)
    masks = pruner.find_masks(model, targets, weights, 0.995)
    assert min(int(mask.sum()) for mask in masks) == 0


def test_rounds_measure_the_masked_network():
    x, y = normal(30, 5), RNG.integers(0, 3, 30)
    model = tanh_net()
    targets = select(model).targets
    weights = [np.array(ops.convert_to_numpy(t.variable)) for t in targets]
    once, often = (
        Pruner.create(Snip(rounds=n)).find_masks(
            model, targets, weights, 0.7, (x, y)
        )
        for n in (1, 6)
    )
    assert sum(m.sum() for m in once) == sum(m.sum() for m in often)
    assert not all(map(np.array_equal, once, often))


class Subclassed(keras.Model):
    """A model without a graph that trains with a step of its own."""

    def __init__(self):
        super().__init__()
        self.table, self.inner = L.Embedding(11, 6), relu_block()
        self.head = L.Dense(2)

    def call(self, inputs, training=False):
        tokens = self.table(inputs["tokens"])
        features = ops.concatenate(
            [ops.mean(tokens, axis=1), inputs["numbers"]], axis=-1
        )
        return self.head(self.inner(features, training=training))

    def train_step(self, *args):
        raise NotImplementedError("Scores run no training step.")


def relu_block():
    given = keras.Input((9,))
    x = L.BatchNormalization()(L.Dense(8, "relu")(given))
    return keras.Model(given, L.Dropout(0.5)(x), name="block")


@pytest.fixture(scope="module", params=("float32", "mixed_float16"))
def subclassed(request):
    keras.config.set_dtype_policy(request.param)
    try:
        model = Subclassed()
        x = {"tokens": RNG.integers(0, 11, (24, 5)), "numbers": normal(24, 3)}
        model(x)
    finally:
        keras.config.set_dtype_policy("float32")
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    y = np.eye(2, dtype="float32")[RNG.integers(0, 2, 24)]
    return model, model.get_weights(), (x, y)


@pytest.mark.parametrize("score", NAMES)
def test_dict_inputs_embeddings_nested_models_and_half_precision(
    subclassed, score
):
    model, weights, data = subclassed
    model.set_weights(weights)
    policies = [one.dtype_policy.name for one in model.layers]
    found = prune(model, 0.5, score=score, calibration_data=data)
    assert sum(r.zeros for r in found.pruned) == round(0.5 * (9 * 8 + 8 * 2))
    assert [one.dtype_policy.name for one in model.layers] == policies


def test_synflow_scores_every_row_of_an_embedding():
    model = keras.Sequential(
        [keras.Input((3,), dtype="int32"), L.Embedding(7, 4), L.Flatten()]
    )
    model.add(L.Dense(2, use_bias=False))
    fill(model)
    targets = select(model, include=["embedding", "dense"]).targets
    with SynFlow().open(model, targets, None) as run:
        table, kernel = run(None)
    assert table.shape == (7, 4) and (table > 0).all()
    assert table.sum() == pytest.approx(1.0) == kernel.sum()


def test_a_cut_network_has_no_flow():
    model = keras.Sequential(
        [keras.Input((4,)), L.Rescaling(0.0), L.Dense(2, use_bias=False)],
        name="cut",
    )
    before = model.get_weights()
    with pytest.raises(ValueError) as error:
        prune(model, 0.5, score="synflow")
    assert str(error.value).endswith("response=0.0 of model 'cut'")
    assert all(map(np.array_equal, before, model.get_weights()))


def test_free_axes_and_shapes_of_calibration_data():
    model = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            L.Conv2D(4, 3, strides=2),
            L.Conv2D(4, 3, strides=2),
            L.GlobalAveragePooling2D(),
            L.Dense(2),
        ]
    )
    assert prune(model, 0.5, score="synflow").selected_sparsity == 0.5
    data = normal(2, 9, 9, 1)
    with pytest.warns(match="in one shot"):
        found = prune(model, 0.75, score="synflow", calibration_data=data)
    assert found.selected_sparsity == 0.75


@pytest.mark.parametrize(
    "labels",
    (
        np.repeat([3, 7], (90, 10)),
        np.repeat([[0], [1]], (90, 10), axis=0),
        np.repeat([0.0, 1.0], (90, 10)),
        np.repeat(np.eye(2), (90, 10), axis=0),
    ),
)
def test_classes_are_sampled_equally(labels):
    x = {"a": np.arange(100)}
    found, y, weight = take_class_samples((x, labels, np.arange(100)), 25)
    assert found["a"].shape == (35,) and (found["a"] == weight).all()
    assert (found["a"] < 90).sum() == 25 and {0, 89} < set(found["a"])
    assert len(y) == 35


@pytest.mark.parametrize("y", (np.linspace(0, 1, 9), np.ones((9, 3, 3)), None))
def test_other_targets_are_used_as_they_are(y):
    data = (np.arange(9), y)
    assert take_class_samples(data, 1) is data
    batches = [data]
    assert take_class_samples(batches, 1) is batches


@pytest.mark.parametrize(
    ("make", "message"),
    (
        (lambda: Snip(rounds=0), "`rounds` must be an integer of at least 1"),
        (lambda: Snip(samples_per_class=0), "`samples_per_class` must be"),
        (lambda: Grasp(temperature=0), "`temperature` must be"),
        (lambda: Grasp(samples_per_class=0), "`samples_per_class` must be"),
        (lambda: SynFlow(0), "`rounds` must be an integer of at least 1"),
    ),
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("score", (Snip(7, 2), Grasp(1.0), SynFlow(5)))
def test_scores_are_saved_with_their_arguments(score):
    config = keras.saving.serialize_keras_object(score)
    assert keras.saving.deserialize_keras_object(config) == score


@pytest.mark.parametrize("score", ("snip", "grasp"))
def test_data_are_required(score):
    model = linear()
    before = model.get_weights()
    with pytest.raises(ValueError) as error:
        prune(model, 0.5, score=score)
    assert str(error.value) == (
        f"Argument `calibration_data` must be given for score='{score}', "
        "which needs gradients: pass calibration_data=(x, y). "
        "Received: calibration_data=None"
    )
    assert all(map(np.array_equal, before, model.get_weights()))
