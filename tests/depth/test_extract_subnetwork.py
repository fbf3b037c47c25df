import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.depth import extract_subnetwork
from keras_netopt.layers import LayerDrop, StochasticDepth

X = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")
EAGER = keras.backend.backend() == "tensorflow"  # Tracing takes longer.


def outputs(model):
    return np.array(keras.ops.convert_to_numpy(model(X, training=False)))


def stack(count=4, residual=True, name="stack"):
    blocks = [
        layers.Dense(4, activation="tanh", name=f"{name}_{k}")
        for k in range(count)
    ]
    return LayerDrop(blocks, residual=residual, name=name)


def functional(*inner):
    x = inputs = keras.Input((4,))
    for layer in inner:
        x = layer(x)
    return keras.Model(inputs, layers.Dense(2, name="out")(x))


def masked(model, kept):
    """The output if the other blocks of a stack are skipped."""
    x = X
    for layer in model.layers[1:]:
        if not isinstance(layer, LayerDrop):
            x = np.array(keras.ops.convert_to_numpy(layer(x)))
            continue
        for k in kept:
            outputs = keras.ops.convert_to_numpy(layer.blocks[k](x))
            x = x + outputs if layer.residual else np.array(outputs)
    return x


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize(
    ("keep", "kept"), [("every_other", [0, 2]), ([1, 2, 3], [1, 2, 3])]
)
def test_only_the_kept_blocks_remain(keep, kept, residual):
    model = functional(stack(residual=residual))
    shallow = extract_subnetwork(model, keep)
    named = [one.name for one in shallow.layers if "stack" in one.name]

    assert named == [f"stack_{k}" for k in kept]
    assert all(
        shallow.get_layer(f"stack_{k}") is model.get_layer("stack").blocks[k]
        for k in kept
    )
    assert not any(isinstance(one, LayerDrop) for one in shallow.layers)
    np.testing.assert_allclose(outputs(shallow), masked(model, kept), atol=1e-6)


def test_keeping_all_blocks_keeps_the_predictions():
    model = functional(stack())
    shallow = extract_subnetwork(model, [0, 1, 2, 3])

    np.testing.assert_allclose(outputs(shallow), outputs(model), atol=1e-6)


def test_copies_have_their_own_weights():
    model = functional(stack())
    before = model.get_weights()
    shallow = extract_subnetwork(model, copy=True)
    expected = masked(model, [0, 2])
    np.testing.assert_allclose(outputs(shallow), expected, atol=1e-6)
    shallow.set_weights([w + 1 for w in shallow.get_weights()])

    for mine, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)


def test_stacks_in_nested_and_sequential_models_are_found():
    inner = keras.Sequential([keras.Input((4,)), stack(2, name="inner")])
    plain = keras.Sequential([keras.Input((4,)), layers.Dense(4)])
    model = keras.Sequential(
        [keras.Input((4,)), inner, plain, stack(3, name="outer")]
    )
    shallow = extract_subnetwork(model, {"inner": [1]})
    names = {one.name for one in shallow.layers}

    assert {"outer_0", "outer_1", "outer_2"} < names
    assert any(one is plain for one in shallow.layers)
    assert shallow.count_params() == model.count_params() - 20 - 2 * 3
    assert outputs(shallow).shape == (5, 4)


def test_the_new_model_trains_and_saves(tmp_path):
    model = functional(stack())
    model.compile("sgd", "mse")
    shallow = extract_subnetwork(model)
    shallow.run_eagerly = EAGER
    shallow.fit(X, np.zeros((5, 2)), verbose=0)
    shallow.save(tmp_path / "shallow.keras")
    loaded = keras.saving.load_model(tmp_path / "shallow.keras")

    np.testing.assert_array_equal(outputs(loaded), outputs(shallow))


class Subclass(keras.Model):
    def __init__(self):
        super().__init__()
        self.stack = stack()

    def call(self, inputs):
        return self.stack(inputs)


def subclassed():
    model = Subclass()
    model(X)
    return model


@pytest.mark.parametrize(
    ("model", "keep", "text"),
    [
        (lambda: functional(stack()), [4], "must be below 4, the number"),
        (lambda: functional(stack()), [2, 1], "in ascending order"),
        (lambda: functional(stack()), [], "at least one"),
        (lambda: functional(stack()), "half", "Received: keep='half'"),
        (lambda: functional(stack()), {"no": [0]}, r"are \['stack'\]"),
        (
            lambda: functional(StochasticDepth(layers.Dense(4))),
            [0],
            "must call a `LayerDrop` layer",
        ),
        (subclassed, [0], "must be Functional or Sequential"),
    ],
)
def test_invalid_models_and_block_lists_are_refused(model, keep, text):
    with pytest.raises(ValueError, match=text):
        extract_subnetwork(model(), keep)
