"""Random networks with random copies of their units preserve the outputs."""

import keras
import numpy as np
import pytest

from keras_netopt.graph.read_value import to_numpy
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.coupled_axis import IN
from keras_netopt.surgery.edits.apply_plan import apply_plan
from keras_netopt.surgery.edits.edit_plan import EditPlan
from keras_netopt.training.gradients import compute_gradients

layers = keras.layers


def random_model(rng):
    """A CNN of two to six random steps, on maps of 6 x 6."""
    inputs = keras.Input((6, 6, 3))
    x, shared = layers.Conv2D(4, 3, padding="same")(inputs), None
    kinds = ("conv", "norm", "add", "concat", "depth", "nested", "shared")
    for kind in rng.choice(kinds, rng.integers(2, 7)):
        width = x.shape[-1]
        if kind == "conv":
            x = layers.Conv2D(int(rng.integers(2, 6)), 3, padding="same")(x)
            x = layers.Activation(str(rng.choice(["silu", "tanh"])))(x)
        elif kind == "norm":
            x = layers.BatchNormalization(momentum=0.9)(x)
        elif kind == "add":
            x = layers.Add()([x, layers.Conv2D(width, 1)(x)])
        elif kind == "concat":
            x = layers.Concatenate()([x, layers.Conv2D(2, 1)(x)])
        elif kind == "depth":
            x = layers.DepthwiseConv2D(3, padding="same")(x)
        elif kind == "nested":
            part = [keras.Input(x.shape[1:]), layers.Conv2D(3, 1)]
            x = keras.Sequential([*part, layers.Activation("silu")])(x)
        elif shared is None or shared.kernel.shape[2] != width:
            shared = layers.Conv2D(width, 1)
            x = shared(shared(x))
        else:
            x = shared(x)
    if rng.random() < 0.5:
        x = layers.Flatten()(layers.AveragePooling2D(3)(x))
    else:
        x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(5, activation="tanh")(x)
    model = keras.Model(inputs, layers.Dense(3)(x))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    for variable in model.weights:  # Zeros and ones would hide faults.
        value = to_numpy(variable)
        noise = np.abs(rng.normal(0.3, 0.2, value.shape))
        is_uniform = value.ndim == 1
        variable.assign(value + noise if is_uniform else value)
    return model


def random_copies(graph, rng):
    """0 to 3 copies per group; every layer keeps one unit."""
    copies = rng.choice([0, 1, 2, 3], graph.group_count, p=[0.2, 0.4, 0.2, 0.2])
    copies[list(graph.protected)] = 1
    rigid = list(graph.not_replicable)
    copies[rigid] = np.minimum(copies[rigid], 1)
    for layer in graph.producers:
        own = graph.units(layer)
        if not copies[own].any():
            copies[own[0]] = 1
    return copies


def zero_what_is_read(graph, copies):
    for coupled_axis in graph.coupled_axes:
        if coupled_axis.role == IN:
            gone = copies[graph.group_of[coupled_axis.ids]] == 0
            value = to_numpy(coupled_axis.variable)
            np.moveaxis(value, coupled_axis.axis, 0)[gone] = 0
            coupled_axis.variable.assign(value)


def outputs(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def seeds():
    """JAX compiles every operation for every shape, which takes minutes."""
    quick = 6 if keras.backend.backend() == "jax" else 50
    return [
        pytest.param(seed, marks=() if seed < quick else (pytest.mark.slow,))
        for seed in range(50)
    ]


@pytest.mark.parametrize("seed", seeds())
def test_random_edits_preserve_outputs_and_reload(seed, tmp_path):
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    model = random_model(rng)
    x = rng.normal(size=(8, 6, 6, 3)).astype("float32")
    graph = ChannelGraph(model)
    copies = random_copies(graph, rng)
    zero_what_is_read(graph, copies)
    before = outputs(model, x)
    objects = [id(v) for v in model.weights]

    apply_plan(model, graph, EditPlan(graph, copies))

    after = outputs(model, x)
    assert np.std(before, axis=0).max() > 1e-3
    bound = 1e-5 * max(1.0, np.abs(before).max())
    np.testing.assert_allclose(after, before, rtol=0, atol=bound)
    assert [id(v) for v in model.weights] == objects
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(outputs(copy, x), after)
    if seed % 5 == 0:
        model.optimizer.build(model.trainable_variables)
        model.save(tmp_path / "edited.keras")
        loaded = keras.saving.load_model(tmp_path / "edited.keras")
        np.testing.assert_array_equal(outputs(loaded, x), after)


def cnn():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    x = skip = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.Add()([x, skip])
    x = layers.Concatenate()(
        [x, layers.SeparableConv2D(3, 3, padding="same")(x)]
    )
    x = layers.DepthwiseConv2D(3)(x)
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dense(5, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(3)(x)), (8, 8, 3)


def transformer():
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(20, 8)(inputs)
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(y, y)])
    y = layers.Dense(12, activation="gelu")(layers.LayerNormalization()(x))
    x = layers.Add()([x, layers.Dense(8)(y)])
    x = layers.GRU(5, return_sequences=True)(x)
    x = layers.LSTM(4)(x)
    return keras.Model(inputs, layers.Dense(3)(x)), None


@pytest.mark.parametrize(
    ("build", "even"),
    [
        (cnn, True),
        (cnn, False),
        (transformer, False),
        pytest.param(transformer, True, marks=pytest.mark.slow),
    ],
)
def test_the_gradient_of_the_grown_model_is_the_mapped_one(build, even):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    model, shape = build()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    x = (
        rng.integers(0, 20, (16, 6))
        if shape is None
        else rng.normal(size=(16, *shape))
    )
    y = rng.integers(0, 3, 16)
    graph = ChannelGraph(model)
    fixed = {*graph.protected, *graph.not_replicable, *graph.normalized_by}
    copies = rng.choice([1, 2, 3], graph.group_count)
    copies[list(fixed)] = 1
    assert (copies > 1).sum() > 5
    shares = {}
    if not even:
        for one in np.flatnonzero(copies > 1):
            drawn = rng.uniform(0.3, 0.7, copies[one])
            shares[int(one)] = drawn / drawn.sum()
    variables = list(model.trainable_variables)
    before = compute_gradients(model, x, y)

    plan = EditPlan(graph, copies, shares=shares)
    apply_plan(model, graph, plan)

    after = compute_gradients(model, x, y)
    largest = max(np.abs(g).max() for g in after)
    for variable, old, new in zip(variables, before, after, strict=True):
        for kind, power in (("gradient", 1), ("gradient2", 2)):
            mapped = plan.map(variable, old**power, kind)
            bound = 2e-6 * largest**power
            np.testing.assert_allclose(mapped, new**power, rtol=0, atol=bound)
