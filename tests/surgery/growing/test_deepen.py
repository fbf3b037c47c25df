"""New blocks behind a layer: nothing changes but the depth."""

import json

import keras
import numpy as np
import pytest

from keras_netopt import surgery
from keras_netopt.surgery.growing.deepen import deepen
from keras_netopt.surgery.growing.insert import insert, places
from keras_netopt.training import slots, sync

layers = keras.layers
BACKEND = keras.backend.backend()
ACTIVATIONS = ["relu", "gelu", "silu", "tanh"]


def array_of(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


def mlp(activation="relu", **compile_arguments):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(10, activation=activation, name="hidden"),
            layers.Dense(6, activation=activation, name="second"),
            layers.Dense(3, name="out"),
        ]
    )
    return ready(model, **compile_arguments)


def cnn(activation="relu", **compile_arguments):
    """A residual stage with BN, then a bare convolution."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(
        6, 3, padding="same", use_bias=False, name="conv", dilation_rate=2
    )(inputs)
    x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = skip = layers.Activation(activation, name="act")(x)
    x = layers.Conv2D(6, 5, padding="same", name="linear")(x)
    x = layers.Add(name="add")([x, skip])
    x = layers.Conv2D(5, 3, strides=2, activation=activation, name="down")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(7, activation=activation, name="dense")(x)
    model = keras.Model(inputs, layers.Dense(3, name="out")(x))
    return ready(model, **compile_arguments)


def nested(**compile_arguments):
    """A Functional and a Sequential model inside a Functional one."""
    keras.utils.set_random_seed(0)
    source = keras.Input((8,))
    x = layers.Dense(6, activation="relu", name="fc")(source)
    encoder = keras.Model(source, layers.Dense(6, name="last")(x), name="enc")
    head = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, activation="relu", name="fc"),
            layers.Dense(4, activation="relu", name="after"),
        ],
        name="head",
    )
    inputs = keras.Input((8,))
    x = head(layers.ReLU(name="relu")(encoder(inputs)))
    model = keras.Model(inputs, layers.Dense(3, name="out")(x))
    return ready(model, **compile_arguments)


def ready(model, **compile_arguments):
    arguments = {
        "optimizer": keras.optimizers.Adam(1e-2),
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **compile_arguments,
    }
    model.compile(**arguments)
    return model


def data(model, samples=48):
    rng = np.random.default_rng(0)
    shape = (samples, *model.input_shape[1:])
    x = rng.normal(size=shape).astype("float32")
    return x, (np.arange(samples) % 3).astype("int32")


def assert_preserved(before, model, tolerance=1e-6):
    found = surgery.check_preserved(before, model)
    assert before.inference[0].std() > 1e-3  # It could show a difference.
    assert found.max_abs <= tolerance
    assert found.training <= tolerance


def answers(model, x):
    sync(model)
    outputs = model(keras.ops.convert_to_tensor(x), training=False)
    return keras.ops.convert_to_numpy(outputs)


def assert_like_reloaded(model, folder):
    """The file, a reloaded model and a clone say the same as the model."""
    x, _ = data(model)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    model.save(folder / "m.keras")
    loaded = keras.saving.load_model(folder / "m.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    mine = answers(model, x)
    np.testing.assert_array_equal(mine, answers(loaded, x))
    np.testing.assert_array_equal(mine, answers(clone, x))
    for other in (loaded, clone):
        assert [v.name for v in other.weights] == [
            v.name for v in model.weights
        ]
        assert names_of(other) == names_of(model)
    for one, other in zip(
        model.optimizer.variables, loaded.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(array_of(one), array_of(other))


def names_of(model):
    """All names but those of inputs, which a clone gets anew."""
    return [
        layer.name
        for layer in model._flatten_layers(include_self=False)
        if not isinstance(layer, layers.InputLayer)
    ]


@pytest.mark.parametrize(
    "activation, after",
    [(name, "conv") for name in ACTIVATIONS]
    + [("gelu", name) for name in ("linear", "add", "down", "dense")],
)
def test_a_residual_block_changes_nothing(activation, after):
    model = cnn(activation)
    held = list(model.weights)
    objects = list(model.layers)
    before = surgery.snapshot(model, data(model)[0])
    report = deepen(model, after=after)

    assert_preserved(before, model, 0.0)
    norm = ["norm"] if after == "conv" else []
    parts = ["first", *norm, "activation", "last", "add"]
    assert report.inserted == tuple(f"{after}_deeper1_{one}" for one in parts)
    assert report.after.params > report.before.params
    assert report.after.macs > report.before.macs
    assert report.after.params == model.count_params()
    assert all(any(v is w for w in model.weights) for v in held)
    assert all(any(one is two for two in model.layers) for one in objects)


@pytest.mark.parametrize(
    "build, after, inserted",
    [
        (mlp, "hidden", "hidden_deeper1"),
        (cnn, "conv", "conv_deeper1_first"),
        (nested, "enc/fc", "fc_deeper1_first"),
        (nested, "head/after", "after_deeper1"),
        (nested, "enc", "enc_deeper1_first"),
    ],
)
def test_a_trained_model_saves_reloads_and_clones(
    build, after, inserted, tmp_path
):
    model = build()
    x, y = data(model)
    model.fit(x, y, batch_size=16, verbose=0)
    before = surgery.snapshot(model, x)
    report = deepen(model, after=after)

    assert report.inserted[0] == inserted
    assert_preserved(before, model, 0.0)
    assert_like_reloaded(model, tmp_path)
    model.fit(x, y, batch_size=16, verbose=0)
    assert_like_reloaded(model, tmp_path)


def test_the_block_stands_behind_norm_and_activation():
    model = cnn()
    deepen(model, after="conv")
    names = [layer.name for layer in model.layers]
    block = model.layers[4:9]
    first, norm, act, last, add = block

    assert names[1:5] == ["conv", "norm", "act", "conv_deeper1_first"]
    assert [type(one).__name__ for one in block] == [
        "Conv2D",
        "BatchNormalization",
        "Activation",
        "Conv2D",
        "Add",
    ]
    assert norm.momentum == 0.9 and act.activation is keras.activations.relu
    assert first.kernel_size == (3, 3) and not first.use_bias
    assert first.filters == last.filters == 6
    assert first.dilation_rate == (1, 1)
    assert array_of(first.kernel).any() and not array_of(last.kernel).any()
    assert [node.operation.name for node in add._outbound_nodes] == [
        "linear",
        "add",
    ]


def test_in_a_sequential_model_a_block_is_one_layer():
    model = mlp()
    held = model.layers
    deepen(model, after="hidden", copies=2)
    block = model.get_layer("hidden_deeper2")

    assert [layer.name for layer in block.layers[1:]] == [
        f"hidden_deeper2_{one}"
        for one in ("first", "activation", "last", "add")
    ]
    assert [model.layers[k] for k in (0, 3, 4)] == held


def test_a_dense_block_stands_behind_pooled_features():
    model = cnn()
    report = deepen(model, after=model.layers[-3].name)
    kinds = [type(model.get_layer(n)).__name__ for n in report.inserted]
    assert kinds == ["Dense", "Activation", "Dense", "Add"]


@pytest.mark.parametrize("form", ["channels_first", "channels_last"])
def test_convolutions_keep_their_data_format(form):
    if BACKEND == "tensorflow" and form == "channels_first":
        pytest.skip("TensorFlow has no such convolution on a CPU")
    inputs = keras.Input((4, 12) if form == "channels_first" else (12, 4))
    x = layers.Conv1D(6, 2, activation="relu", data_format=form, name="c")(
        inputs
    )
    x = layers.GlobalAveragePooling1D(data_format=form)(x)
    model = keras.Model(inputs, layers.Dense(3)(x))
    before = surgery.snapshot(model)
    deepen(model, after="c")
    first = model.get_layer("c_deeper1_first")

    assert first.data_format == form and first.kernel_size == (3,)
    assert_preserved(before, model, 0.0)


def test_even_a_transposed_convolution_gets_a_block():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2DTranspose(4, 2, strides=2, name="up")(inputs)
    x = layers.PReLU(name="prelu")(x)
    model = keras.Model(inputs, layers.Conv2D(2, 1, name="out")(x))
    before = surgery.snapshot(model)
    deepen(model, after="up")

    names = [layer.name for layer in model.layers]
    assert names[2:4] == ["prelu", "up_deeper1_first"]
    assert_preserved(before, model, 0.0)


@pytest.mark.parametrize("build, after", [(mlp, "hidden"), (cnn, "conv")])
@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_an_identity_layer_changes_nothing_behind_relu(
    build, after, activation, tmp_path
):
    model = build(activation)
    before = surgery.snapshot(model, data(model)[0])
    report = deepen(model, after=after, init="identity", copies=2)

    assert len(report.inserted) == 4
    assert_preserved(before, model)
    deeper = model.get_layer(f"{after}_deeper2")
    assert deeper.kernel.trainable and array_of(deeper.kernel).sum() == (
        10 if after == "hidden" else 6
    )
    assert_like_reloaded(model, tmp_path)


@pytest.mark.parametrize("activation", ["gelu", "silu", "tanh", "elu"])
def test_an_identity_layer_is_refused_where_it_is_none(activation):
    model = mlp(activation)
    with pytest.raises(ValueError) as caught:
        deepen(model, after="hidden", init="identity")
    assert str(caught.value) == (
        "A layer that starts as the identity changes what comes out of "
        f"{activation}; expected an activation like ReLU, which leaves its own "
        'outputs as they are. Use init="residual_zero". Received: '
        'init="identity"'
    )
    assert len(model.layers) == 3


def test_an_identity_layer_is_refused_without_an_activation():
    model = cnn()
    with pytest.raises(ValueError, match="comes out of no activation; "):
        deepen(model, after="linear", init="identity")


def test_a_copy_has_the_weights_of_its_layer(tmp_path):
    model = cnn()
    x, y = data(model)
    model.fit(x, y, batch_size=16, verbose=0)
    first = model.get_layer("linear")
    before = answers(model, x)
    report = deepen(model, after="linear", init="copy", copies=2)

    assert report.inserted == ("linear_deeper1", "linear_deeper2")
    assert report.notes == ("init='copy' changes the outputs",)
    for name in report.inserted:
        copy = model.get_layer(name)
        assert copy.kernel is not first.kernel
        for one, two in zip(
            copy.get_weights(), first.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, two)
    assert np.abs(answers(model, x) - before).max() > 1e-3
    assert_like_reloaded(model, tmp_path)


def test_a_copy_takes_norm_activation_and_nested_models_along(tmp_path):
    source = keras.Input((4,))
    x = layers.Dense(4, activation="relu", name="fc")(source)
    inner = keras.Model(source, x, name="stage")
    inputs = keras.Input((4,))
    x = layers.Dense(4, name="first")(inputs)
    x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    model = ready(keras.Model(inputs, layers.Dense(3)(inner(x))))
    one = deepen(model, after="first", init="copy")
    two = deepen(model, after="stage", init="copy", copies=2)

    assert one.inserted == ("first_deeper1", "norm_deeper1", "relu_deeper1")
    assert two.inserted == ("stage_deeper1", "stage_deeper2")
    assert len({v.path for v in model.weights}) == len(model.weights)
    x, y = data(model)
    model.fit(x, y, verbose=0)
    assert_like_reloaded(model, tmp_path)


def test_a_copy_is_refused_where_it_does_not_fit():
    model = cnn()
    with pytest.raises(ValueError) as caught:
        deepen(model, after="down", init="copy")
    assert str(caught.value) == (
        "Layer 'down' can't be copied behind itself: it takes "
        "[(None, 8, 8, 6)] and returns (None, 3, 3, 5). Use "
        'init="residual_zero". Received: init="copy"'
    )
    with pytest.raises(ValueError, match="^Layer 'act' has no weights, a copy"):
        deepen(model, after="act", init="copy")


def test_gaussian_blocks_end_in_a_random_norm():
    model = cnn()
    x, _ = data(model)
    before = answers(model, x)
    deepen(model, after="conv", init="gaussian", seed=5)
    norm = model.get_layer("conv_deeper1_last_norm")

    assert np.abs(array_of(norm.gamma)).std() > 0.1
    assert norm.momentum == 0.9
    assert array_of(model.get_layer("conv_deeper1_last").kernel).any()
    assert np.abs(answers(model, x) - before).max() > 1e-3
    other = cnn()
    deepen(other, after="conv", init="gaussian", seed=5)
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    deepen(third := cnn(), after="conv", init="gaussian", seed=6)
    gamma = third.get_layer("conv_deeper1_last_norm").gamma
    assert not np.array_equal(array_of(norm.gamma), array_of(gamma))


@keras.saving.register_keras_serializable("test_deepen")
def squeeze(x):
    """An example of a block of one's own, with ops beside layers."""
    h = layers.Dense(2, activation="gelu", name="in")(x)
    return x + layers.Dense(x.shape[-1], kernel_initializer="zeros")(h)


def test_a_block_of_ones_own(tmp_path):
    model = cnn()
    x, _ = data(model)
    before = surgery.snapshot(model, x)
    report = deepen(model, after="conv", block=squeeze, copies=2)

    assert report.inserted == ("conv_deeper1", "conv_deeper2")
    assert report.event["block"] == "test_deepen>squeeze"
    assert report.notes == (
        "the block is your own: whether the outputs stay is up to it",
    )
    assert_preserved(before, model)
    assert_like_reloaded(model, tmp_path)
    again = cnn()
    assert surgery.replay(again, [json.loads(json.dumps(report.event))]) == 1
    assert [w.shape for w in again.get_weights()] == [
        w.shape for w in model.get_weights()
    ]


@pytest.mark.parametrize(
    "block, text",
    [
        (lambda x: x, "and returns the result. Received: <KerasTensor"),
        (lambda x: 3, "and returns the result. Received: 3"),
        (
            lambda x: layers.Dense(3)(x),
            r"must return a tensor like the one it takes: shape \(None, 10\), "
            r"float32. Received: shape \(None, 3\), float32",
        ),
        ("nowhere", "or a name registered with"),
    ],
)
def test_unfit_blocks_are_refused(block, text):
    model = mlp()
    with pytest.raises(ValueError, match=text):
        deepen(model, after="hidden", block=block)
    assert len(model.layers) == 3


@pytest.mark.parametrize(
    "build, inner, outer",
    [
        (cnn, "conv_deeper1_first", "conv"),
        (mlp, "hidden_deeper1/hidden_deeper1_first", "hidden"),
    ],
)
def test_a_block_can_be_widened_and_cut(build, inner, outer, tmp_path):
    model = build()
    x, y = data(model)
    deepen(model, after=outer)
    model.fit(x, y, batch_size=16, verbose=0)
    before = surgery.snapshot(model, x)
    surgery.widen(model, inner, factor=2)
    surgery.widen(model, outer, add=3, new_units="net2net")
    deepen(model, after=inner)
    assert_preserved(before, model, 1e-5)
    surgery.remove(model, {inner: [0, 1], outer: [2]})
    model.fit(x, y, batch_size=16, verbose=0)
    assert_like_reloaded(model, tmp_path)


def test_bad_arguments_are_refused():
    model = mlp()
    with pytest.raises(ValueError, match="`copies` must be an integer of at"):
        deepen(model, after="hidden", copies=0)
    with pytest.raises(TypeError, match="`copies` must be an integer"):
        deepen(model, after="hidden", copies=1.5)
    with pytest.raises(
        ValueError, match="`init` must be one of 'residual_zero'"
    ):
        deepen(model, after="hidden", init="zeros")
    with pytest.raises(TypeError, match="`block` must be a function from"):
        deepen(model, after="hidden", block=3)
    with pytest.raises(ValueError, match="Leave one of the two out"):
        deepen(model, after="hidden", block=squeeze, init="copy")
    with pytest.raises(ValueError, match="There is no layer 'hiden'"):
        deepen(model, after="hiden")
    with pytest.raises(ValueError, match="is not part of the model"):
        deepen(model, after=layers.Dense(3))


@pytest.mark.parametrize("after", ["logits", "probs", "scores", "flat", "map"])
def test_what_makes_the_answers_is_refused(after):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="stem")(inputs)
    pooled = layers.GlobalAveragePooling2D()(x)
    logits = layers.Dense(3, name="logits")(pooled)
    map_ = layers.Conv2D(3, 1, name="map")(x)
    model = keras.Model(
        inputs,
        [
            layers.Softmax(name="probs")(logits),
            layers.Dense(2, activation="softmax", name="scores")(pooled),
            layers.Reshape((-1, 2))(layers.Conv2D(2, 1, name="flat")(x)),
            layers.Softmax()(layers.GlobalAveragePooling2D()(map_)),
        ],
    )
    with pytest.raises(ValueError) as caught:
        deepen(model, after=after)
    assert str(caught.value) == (
        f"Layer '{after}' makes an output of the model '{model.name}': a block "
        "behind it would work on the model's answers. Name a layer before it. "
        f"Received: after='{after}'"
    )
    deepen(model, after="stem")


def test_the_end_of_a_nested_model_is_an_answer_only_at_the_end():
    model = nested()
    deepen(model, after="enc/last")
    source = keras.Input((8,))
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(3, name="fc")])
    model = keras.Model(source, layers.Softmax()(inner(source)))
    with pytest.raises(ValueError, match="^Layer '.*/fc' makes an output"):
        deepen(model, after="fc")


def test_features_that_are_pooled_into_the_output_may_get_a_block():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    before = surgery.snapshot(model)
    deepen(model, after="conv")
    assert_preserved(before, model, 0.0)


def test_places_without_a_block_are_refused():
    shared = layers.Dense(4, activation="relu", name="shared")
    inputs = keras.Input((4, 4), name="source")
    x = shared(shared(inputs))
    x = layers.TimeDistributed(layers.Dense(4, name="inner"))(x)
    x, *_ = layers.LSTM(4, return_state=True, name="lstm")(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    for after, text in {
        "shared": "^Layer 'shared' is called 2 times, so it is not clear ",
        "inner": "^Layer '.*inner' lies inside another layer, where no block ",
        "lstm": "^Layer 'lstm' has 3 outputs; no block can stand behind it. ",
        "source": "^Layer 'source' is an input; no block can stand behind it. ",
    }.items():
        with pytest.raises(ValueError, match=text):
            deepen(model, after=after)


def test_models_without_a_graph_and_ftrl_are_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="is subclassed"):
        deepen(Own(), after="x")
    with pytest.raises(ValueError, match="trained with Ftrl can't be edited"):
        deepen(mlp(optimizer="ftrl"), after="hidden")
    model = mlp(optimizer="adafactor")
    with pytest.raises(ValueError, match='deepen with init="identity", or'):
        deepen(model, after="hidden")


def test_a_mask_passes_through():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True, name="emb")(inputs)
    x = layers.Dense(4, activation="gelu", name="dense")(x)
    x = layers.LSTM(4)(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    tokens = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [7, 7, 7, 7, 7]])
    before = surgery.snapshot(model, tokens)
    unmasked = answers(model, np.where(tokens == 0, 8, tokens))
    assert np.abs(unmasked - before.inference[0]).max() > 1e-4
    for after in ("emb", "dense"):
        deepen(model, after=after)
    assert_preserved(before, model)


def test_a_mask_in_a_sequential_model_is_refused():
    """A file could not be read to the same model."""
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            layers.Embedding(9, 4, mask_zero=True, name="emb"),
            layers.Dense(4, activation="relu", name="dense"),
            layers.LSTM(4),
            layers.Dense(2),
        ]
    )
    with pytest.raises(ValueError) as caught:
        deepen(model, after="dense")
    assert str(caught.value) == (
        "A block with a way around it can't stand in the Sequential model "
        f"'{model.name}' where a mask passes. Build it as `keras.Model(inputs, "
        "outputs)`. Received: a tensor with a mask"
    )
    tokens = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0]])
    before = surgery.snapshot(model, tokens)
    deepen(model, after="dense", init="identity")
    assert_preserved(before, model)


def test_names_count_on(tmp_path):
    model = mlp()
    for _ in range(2):
        deepen(model, after="hidden")
    deepen(model, after="hidden", copies=2)
    names = [layer.name for layer in model.layers]

    assert names == [
        "hidden",
        *(f"hidden_deeper{k}" for k in (3, 4, 2, 1)),
        "second",
        "out",
    ]
    assert len({v.path for v in model.weights}) == len(model.weights)
    assert_like_reloaded(model, tmp_path)


def test_a_dry_run_changes_nothing():
    model = cnn()
    x, y = data(model)
    model.fit(x, y, verbose=0)
    weights, names = model.get_weights(), [v.path for v in model.variables]
    dry = deepen(model, after="conv", copies=2, dry_run=True)

    assert dry.dry_run and [v.path for v in model.variables] == names
    for one, two in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    real = deepen(model, after="conv", copies=2)
    assert (dry.before, dry.after) == (real.before, real.after)
    assert dry.inserted == real.inserted and dry.event == real.event


def test_replay_leads_to_the_same_model():
    model = nested()
    events = [
        deepen(model, after="head/fc", copies=2).event,
        deepen(model, after="enc", init="gaussian", seed=3).event,
        deepen(model, after="head/fc_deeper2/fc_deeper2_first").event,
    ]
    again = nested()
    assert surgery.replay(again, json.loads(json.dumps(events))) == 3
    for one, two in zip(model.weights, again.weights, strict=True):
        assert one.name == two.name
        np.testing.assert_array_equal(array_of(one), array_of(two))


class Fails(RuntimeError):
    pass


def test_an_edit_that_fails_leaves_the_model_as_it_was(monkeypatch):
    model = cnn()
    x, y = data(model)
    model.fit(x, y, verbose=0)
    graph = structure(model)
    state = [array_of(v) for v in model.optimizer.variables]
    before = surgery.snapshot(model, x)

    def fail(*args):
        monkeypatch.undo()
        slots.restore(*args)
        raise Fails

    monkeypatch.setattr("keras_netopt.training.slots.restore", fail)
    with pytest.raises(Fails):
        deepen(model, after="conv", copies=2)

    assert structure(model) == graph
    assert surgery.check_preserved(before, model).max_abs == 0.0
    for old, new in zip(state, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(old, array_of(new))
    kernel = model.get_layer("conv").kernel
    old = array_of(kernel)
    model.fit(x, y, verbose=0)
    assert np.abs(array_of(kernel) - old).max() > 0


def structure(model):
    """What an insertion changes, as text."""
    return json.dumps(
        [
            model.get_config(),
            [v.path for v in model.variables],
            [layer.name for layer in model._layers],
            [
                [len(node.operation._outbound_nodes), node.operation.name]
                for place in places(model)
                for node in [place.node]
            ],
        ],
        default=str,
    )


@pytest.mark.parametrize("build", [mlp, cnn, nested])
def test_an_insertion_can_be_taken_back(build):
    model = build()
    graph = structure(model)
    for place in list(places(model)):
        if place.node.is_input or place.is_output():
            continue
        added, undo = insert(place, layers.Activation("tanh", name="new"))
        assert [one.name for one in added] == ["new"]
        assert structure(model) != graph
        (new,) = added
        undo()
        assert structure(model) == graph
        assert not new._inbound_nodes
    assert_like_reloaded_shapes(model)


def assert_like_reloaded_shapes(model):
    clone = keras.models.clone_model(model)
    assert [v.shape for v in clone.weights] == [v.shape for v in model.weights]


class Grow(keras.callbacks.Callback):
    """Deepens when an epoch begins and looks at what follows."""

    def __init__(self, x, edits, *, batch=None):
        super().__init__()
        self.x, self.edits, self.batch = x, edits, batch
        self.report = self.kernel = None
        self.iterations = []

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and self.batch is None:
            self.grow()

    def on_train_batch_begin(self, batch, logs=None):
        if self.batch is not None and self.report is None:
            if int(self.model.optimizer.iterations) >= self.batch:
                self.grow()

    def grow(self):
        model = self.model
        self.before = surgery.snapshot(model, self.x)
        for edit in self.edits:
            self.report = deepen(model, **edit)
        self.preserved = surgery.check_preserved(self.before, model)
        self.kernel = next(
            v for v in model.weights if "deeper1_last/kernel" in v.path
        )
        assert not array_of(self.kernel).any()

    def on_epoch_end(self, epoch, logs=None):
        self.iterations.append(int(self.model.optimizer.iterations))


def check_fit(model, edits, tmp_path, *, batch=None, tolerance=1e-6, steps=3):
    x, y = data(model)
    grow = Grow(x, edits, batch=batch)
    history = model.fit(
        x,
        y,
        batch_size=16,
        epochs=3,
        verbose=0,
        callbacks=[grow],
        validation_data=(x, y),
    )
    assert grow.preserved.max_abs <= tolerance
    assert grow.preserved.training <= tolerance
    assert grow.before.inference[0].std() > 1e-3
    assert np.abs(array_of(grow.kernel)).max() > 0
    assert grow.iterations == [steps, 2 * steps, 3 * steps]
    assert len(history.history["val_loss"]) == 3
    logits = keras.ops.convert_to_numpy(model(x, training=False))
    eager = float(model.loss(y, logits.astype("float32")))
    evaluated = model.evaluate(x, y, verbose=0)
    assert evaluated == pytest.approx(eager, abs=max(1e-5, tolerance))
    before = array_of(grow.kernel)
    model.fit(x, y, batch_size=16, verbose=0)
    assert not np.array_equal(before, array_of(grow.kernel))
    assert_like_reloaded(model, tmp_path)
    return history


@pytest.mark.parametrize(
    "build, edits",
    [
        (mlp, [{"after": "hidden"}]),
        (cnn, [{"after": "dense"}, {"after": "conv", "copies": 2}]),
        (nested, [{"after": "enc/fc"}, {"after": "head/fc"}]),
    ],
)
def test_deepening_inside_fit(build, edits, tmp_path):
    check_fit(build(), edits, tmp_path)


def test_deepening_between_two_batches(tmp_path):
    check_fit(mlp(), [{"after": "hidden"}], tmp_path, batch=4)


@pytest.mark.skipif(BACKEND == "torch", reason="torch.compile is not run")
def test_deepening_under_xla(tmp_path):
    model = mlp(jit_compile=True)
    check_fit(model, [{"after": "hidden"}], tmp_path, tolerance=1e-5)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras refuses it on torch")
def test_deepening_with_several_steps_an_execution(tmp_path):
    model = mlp(steps_per_execution=2)
    steps = {"jax": 3, "tensorflow": 3}[BACKEND]
    check_fit(model, [{"after": "hidden"}], tmp_path, steps=steps)


def test_deepening_in_half_precision(tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = mlp("gelu")
        check_fit(model, [{"after": "hidden"}], tmp_path, tolerance=1e-2)
    finally:
        keras.config.set_dtype_policy(before)
    block = model.get_layer("hidden_deeper1")
    assert {v.dtype for v in block.weights} == {"float32"}
    assert block.layers[1].compute_dtype == "float16"


@pytest.mark.parametrize("name", ["SGD", "Muon", "Adafactor"])
def test_training_goes_on_under_other_optimizers(name, tmp_path):
    options = {"momentum": 0.9, "use_ema": True} if name == "SGD" else {}
    optimizer = getattr(keras.optimizers, name)(1e-2, **options)
    model = mlp("relu", optimizer=optimizer)
    x, y = data(model)
    model.optimizer.build(model.trainable_variables)
    init = "identity" if name == "Adafactor" else "residual_zero"
    deepen(model, after="hidden", init=init)
    deepen(model, after="second", init=init, copies=2)
    history = model.fit(x, y, batch_size=16, epochs=7, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert_like_reloaded(model, tmp_path)


@pytest.mark.skipif(BACKEND != "torch", reason="a list of torch's own")
def test_torch_sees_the_parameters_that_the_model_has_now():
    model = nested()
    x, y = data(model)
    model.fit(x, y, verbose=0)
    deepen(model, after="enc/fc")
    surgery.widen(model, "enc/fc", factor=2)
    mine = {id(v.value) for v in model.trainable_variables}
    assert {id(p) for p in model.parameters() if p.requires_grad} == mine


def test_the_best_weights_of_early_stopping_can_be_carried_over():
    from keras_netopt.training.editing import editing

    model = mlp()
    x, _ = data(model)
    kept = [w + 0.1 for w in model.get_weights()]
    model.set_weights(kept)
    best = answers(model, x)
    model.set_weights([w - 0.3 for w in kept])
    with editing(model) as record:
        deepen(model, after="hidden")
    (change,) = record.changes
    model.set_weights(change.map_weights(kept))
    np.testing.assert_allclose(answers(model, x), best, atol=1e-6)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="SavedModel is its format")
def test_a_deepened_model_exports(tmp_path):
    import tensorflow as tf

    model = nested()
    deepen(model, after="head/fc")
    deepen(model, after="enc/fc", init="identity")
    x, _ = data(model)
    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(served.serve(x), answers(model, x), atol=1e-5)
