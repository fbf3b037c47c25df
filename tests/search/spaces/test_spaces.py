"""Every space: hyperparameters, networks, tuners, surgery and files."""

import pickle

import keras
import keras_tuner
import numpy as np
import pytest

from keras_netopt import cost, export, search, surgery
from keras_netopt.search import spaces
from keras_netopt.search.search_space import SearchSpace

IMAGE, STAGES = (8, 8, 1), {"stages": (1, 2), "blocks": (1, 2), "width": (2, 4)}
LANGUAGE = {"vocabulary": 7, "causal": True, "per_token": True}
SPACES = {
    "mlp": spaces.mlp((3, 2), 3, layers=(1, 2, 3), units=(4, 8), dropout=0.5),
    "resnet": spaces.resnet(IMAGE, 3, **STAGES, kernel=(1, 3)),
    "mobilenet": spaces.mobilenet(IMAGE, 3, **STAGES),
    "nas_bench_201": spaces.nas_bench_201(
        IMAGE, 3, channels=2, cells=1, stages=1
    ),
    "transformer_encoder": spaces.transformer_encoder(
        (5,), 7, **LANGUAGE, blocks=(1, 2), width=(4, 8)
    ),
    "rnn": spaces.rnn(
        (5, 2), 3, layers=(1, 2), units=(4, 8), direction=("forward", "both")
    ),
}
EVERY = pytest.mark.parametrize("name", SPACES)
# A layer whose units no other layer's are coupled to.
INNER = {
    "mlp": "layer1",
    "resnet": "stage1_block1_a_conv",
    "mobilenet": "stage1_block1_expand_conv",
    "nas_bench_201": "stage1_cell1_edge0_1_conv",
    "transformer_encoder": "block1_mlp_hidden",
    "rnn": "layer1",
}


def samples(space, count=4):
    rng = np.random.default_rng(0)
    shape = (count, *space.input_shape)
    if space.input_dtype == "int32":
        return rng.integers(0, 7, shape), rng.integers(0, 7, shape)
    labels = rng.integers(0, 3, count)
    return rng.normal(size=shape).astype("float32"), labels


def points(space, count):
    found, rng = SearchSpace(space.hyperparameters()), np.random.default_rng(1)
    return [found.random(rng) for _ in range(count)]


def build(space, values):
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    model = space(hp)
    assert hp.values == values  # The point of one network is complete.
    return model


@pytest.mark.no_backend
@pytest.mark.parametrize("count", [4, pytest.param(30, marks=pytest.mark.slow)])
@EVERY
def test_random_networks_differ_and_names_are_unique(name, count):
    space = SPACES[name]
    params = set()
    for values in points(space, count):
        model = build(space, values)
        names = [layer.name for layer in model.layers]
        assert len(names) == len(set(names))
        assert not any(one.startswith("conv2d") for one in names)
        # One count for parameters and for MACs, which cost a trace.
        macs = cost.summarize(model).macs if count > 4 else 0
        params.add((model.count_params(), macs))
    assert len(params) >= min(count, 8) // 2


@pytest.mark.no_backend
@EVERY
def test_values_of_what_does_not_exist_are_inactive(name):
    """A counting hyperparameter below i hides all names of item i."""
    for values in points(SPACES[name], 30):
        for count, items in (
            ("layers", "layer"),
            ("stages", "stage"),
            ("blocks", "block"),
            *((f"stage{i}/blocks", f"stage{i}/block") for i in (1, 2)),
        ):
            for other in values:
                number = other.removeprefix(items).partition("/")[0]
                if count in values and other != count and number.isdigit():
                    if other.startswith(items):
                        assert int(number) <= values[count], (other, values)


@pytest.mark.no_backend
@EVERY
def test_every_hyperparameter_is_declared_at_once(name):
    """A tuner sees the whole space before the first trial."""
    space = SPACES[name]
    hp = space.hyperparameters()
    known = {one.name for one in hp.space}
    for values in points(space, 30):
        assert set(values) <= known
    assert known == {key for values in points(space, 200) for key in values}
    assert len(known) == len(hp.space)
    again = pickle.loads(pickle.dumps(space)).hyperparameters()
    assert again.get_config() == hp.get_config()


@EVERY
def test_the_default_network_trains_and_can_be_edited(name):
    space = SPACES[name]
    model = space.model()
    model.run_eagerly = keras.backend.backend() == "tensorflow"
    x, y = samples(space, 2)
    history = model.fit(x, y, verbose=0).history
    assert np.isfinite(history["loss"]).all() and "accuracy" in history
    before = keras.ops.convert_to_numpy(model(x))
    macs = cost.summarize(model).macs
    surgery.widen(model, INNER[name], factor=2)
    after = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4)
    assert cost.summarize(model).macs > macs
    surgery.prune_channels(model, 0.5, min_channels=1, include=INNER[name])
    assert cost.summarize(model).macs < 1.05 * macs


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize(
    "kind", ["stock", "hyperband", "TPE", "RegularizedEvolution"]
)
@pytest.mark.slow
def test_every_tuner_takes_every_space(name, kind, tmp_path):
    _search(name, kind, tmp_path)


@pytest.mark.no_backend
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mlp", "stock"),
        ("resnet", "TPE"),
        ("mobilenet", "hyperband"),
        ("nas_bench_201", "RegularizedEvolution"),
    ],
)
def test_tuners_take_spaces(name, kind, tmp_path):
    _search(name, kind, tmp_path)


def _search(name, kind, folder):
    space = SPACES[name]

    def build_eager(hp):  # Nothing is worth a trace.
        model = space(hp)
        model.run_eagerly = True
        return model

    options = {"objective": "val_loss", "directory": folder}
    if kind == "stock":
        tuner = keras_tuner.RandomSearch(build_eager, max_trials=2, **options)
    elif kind == "hyperband":
        tuner = keras_tuner.Hyperband(
            build_eager, max_epochs=2, hyperband_iterations=1, **options
        )
        tuner.oracle.max_trials = 2
    else:
        tuner = getattr(search, kind)(build_eager, max_trials=2, **options)
    x, y = samples(space, 2)
    tuner.search(x, y, validation_data=(x, y), verbose=0)
    trials = tuner.oracle.trials.values()
    assert len(trials) == 2
    assert {trial.status for trial in trials} == {"COMPLETED"}


@pytest.mark.backend("tensorflow", "jax")
@pytest.mark.parametrize(
    "name",
    [
        "transformer_encoder",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in SPACES
            if name != "transformer_encoder"
        ),
    ],
)
def test_the_files_of_default_networks_are_verified(name, tmp_path):
    model = SPACES[name].model()
    report = export.to_litert(model, tmp_path / "model.tflite")
    assert report.verification.max_rel_diff < 1e-3


def test_a_detector_has_class_logits_and_a_box():
    space = spaces.resnet(IMAGE, 3, **STAGES, task="detection")
    model = space.model()
    model.run_eagerly = keras.backend.backend() == "tensorflow"
    x, labels = samples(space)
    box = np.random.default_rng(0).random((4, 4)).astype("float32")
    history = model.fit(x, {"class": labels, "box": box}, verbose=0).history
    assert {"class_accuracy", "box_mae"} <= set(history)
    found = keras.ops.convert_to_numpy(model(100 * x)["box"])
    assert ((found >= 0) & (found <= 1)).all()


def test_a_causal_transformer_does_not_look_ahead():
    model = SPACES["transformer_encoder"].model()
    x = np.arange(5)[None]
    later = np.array([[0, 1, 2, 6, 6]])
    first, second = map(keras.ops.convert_to_numpy, (model(x), model(later)))
    np.testing.assert_allclose(first[:, :3], second[:, :3], atol=1e-6)
    assert np.abs(first[:, 3:] - second[:, 3:]).max() > 1e-3


def test_a_transformer_knows_positions():
    space = spaces.transformer_encoder((4, 2), 3, blocks=1, width=4, heads=2)
    model = space.model()
    x = np.random.default_rng(0).normal(size=(1, 4, 2))
    mirrored = model(x[:, ::-1])
    assert (
        np.abs(
            np.asarray(keras.ops.convert_to_numpy(model(x) - mirrored))
        ).max()
        > 1e-4
    )


def test_the_learning_rate_is_searched_between_two_ends():
    space = spaces.mlp(
        (2,), 1, task="regression", layers=1, units=4, learning_rate=(1e-4, 0.1)
    )
    assert space.defaults() == {"learning_rate": pytest.approx(10**-2.5)}
    model = space.model({"learning_rate": 0.05})
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)
    assert model.output_shape == (None, 1)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("mlp", {"layers": 0}, "layers=0"),
        ("mlp", {"units": (8, 8)}, "units="),
        ("mlp", {"dropout": 1.0}, "below 1"),
        ("mlp", {"dropout": float("nan")}, "dropout=nan"),
        ("mlp", {"activation": "softmax"}, "'relu'"),
        ("mlp", {"task": "detection"}, "task='detection'"),
        ("mlp", {"input_shape": ()}, "input_shape"),
        ("resnet", {"width": (-1, 2)}, "width="),
        ("resnet", {"stem_strides": ()}, "stem_strides="),
        ("mobilenet", {"expansion": 0}, "expansion=0"),
        ("mobilenet", {"input_shape": (8, 8)}, "must have 3 axes"),
        ("transformer_encoder", {"width": 6, "heads": 4}, "must divide each"),
        ("transformer_encoder", {"vocabulary": 7}, "must have 1 axes"),
        ("transformer_encoder", {"input_shape": (4, 4, 1)}, "length, features"),
        ("rnn", {"cell": ()}, "'lstm'"),
        ("rnn", {"direction": "backward"}, "direction='backward'"),
    ],
)
@pytest.mark.no_backend
def test_bad_arguments_are_refused(name, arguments, message):
    shapes = {"mlp": (4,), "transformer_encoder": (5, 2), "rnn": (5, 2)}
    whole = {"input_shape": shapes.get(name, IMAGE), "outputs": 3, **arguments}
    with pytest.raises(ValueError, match=message):
        getattr(spaces, name)(**whole)
    with pytest.raises(TypeError, match="layers='two'"):
        spaces.mlp((4,), 3, layers="two")
