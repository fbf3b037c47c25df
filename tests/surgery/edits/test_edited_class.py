"""Edited objects with a config of their own: files, clones, weights files."""

import inspect
import json

import keras
import numpy as np
import pytest
from fresh import run_fresh
from surgery.conftest import EAGER

from keras_netopt import surgery
from keras_netopt.callbacks import BestCheckpoint, ChannelPruning
from keras_netopt.graph.layers import walk_layers

layers = keras.layers
register = keras.saving.register_keras_serializable("edited_class")


@register
class Net(keras.Model):
    """A graph that is rebuilt from its arguments."""

    def __init__(self, width=12, **kwargs):
        x = inputs = keras.Input((12,))
        for name in ("a", "b", "c"):
            x = layers.Dense(width, activation="relu", name=name)(x)
        super().__init__(inputs, x, **kwargs)
        self.width = width

    def get_config(self):
        return {"name": self.name, "width": self.width}


@register
class WithoutConfig(Net):
    """Keras stores the arguments of a class without `get_config`."""

    get_config = keras.Model.get_config


@register
class Stack(keras.Sequential):
    def __init__(self, width=12, **kwargs):
        stack = [keras.Input((12,))]
        for name in ("a", "b", "c"):
            stack.append(layers.Dense(width, activation="relu", name=name))
        super().__init__(stack, **kwargs)
        self.width = width

    def get_config(self):
        return {"name": self.name, "width": self.width}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@register
class Fixed(layers.Layer):
    """A layer whose width stands in its code; its call builds its weights."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.make(10)

    def make(self, units):
        self.a = layers.Dense(units, activation="relu", name="a")
        self.b = layers.Dense(12, name="b")

    def call(self, inputs):
        return inputs + self.b(self.a(inputs))


@register
class Built(Fixed):
    """The same with weights that `build` makes."""

    def build(self, input_shape):
        self.a.build(input_shape)
        self.b.build((*input_shape[:-1], self.a.units))

    def compute_output_shape(self, input_shape):
        return input_shape


@register
class Marked(Fixed):
    """The same with a `build` that leaves the weights to the call."""

    def build(self, input_shape):
        self.built = True


@register
class Wide(Built):
    """A layer whose config says its width."""

    def __init__(self, width=10, **kwargs):
        layers.Layer.__init__(self, **kwargs)
        self.width = width
        self.make(width)

    def get_config(self):
        return {"name": self.name, "width": self.width}


def alone(part):
    return part


def nested(part):
    inputs = keras.Input((12,))
    x = layers.Dense(12, name="before")(inputs)
    return keras.Model(inputs, layers.Dense(2, name="out")(part(x)))


def twice_nested(part):
    inner = [keras.Input((12,)), part, layers.Dense(2, name="after")]
    inputs = keras.Input((12,))
    return keras.Model(inputs, keras.Sequential(inner)(inputs))


def per_step(part):
    inputs = keras.Input((3, 12))
    x = layers.TimeDistributed(part)(inputs)
    return keras.Model(inputs, layers.Dense(2, name="out")(x))


def find(model, name):
    return next(one for one in walk_layers(model) if one.name == name)


def cut(model):
    surgery.prune_channels(model, 0.5, min_channels=1)


def widen(model):
    surgery.widen(model, find(model, "a"), add=5)


def deepen(model):
    surgery.deepen(model, find(model, "b"))


def several(model):
    cut(model)
    surgery.deepen(model, find(model, "a"), init="identity", copies=2)
    widen(model)
    surgery.deepen(model, find(model, "b"))
    surgery.prune_channels(model, 0.2, min_channels=1)


def data_for(model):
    shape = (8, *model.input_shape[1:])
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def answers(model):
    return keras.ops.convert_to_numpy(model(data_for(model)))


def assert_same(model, other):
    np.testing.assert_allclose(answers(other), answers(model), atol=1e-6)


def is_marked(layer):
    return type(layer).__module__ == "keras_netopt"


@pytest.mark.parametrize(
    ("kind", "around", "edit"),
    [
        (Net, alone, several),
        (Net, nested, several),
        (Net, per_step, cut),
        (Net, per_step, widen),
        (WithoutConfig, twice_nested, several),
        (Stack, alone, deepen),
        (Stack, twice_nested, several),
        (Fixed, nested, cut),
        (Built, per_step, widen),
        (Marked, nested, cut),
        (Marked, twice_nested, widen),
    ],
)
def test_files_and_clones_of_an_edited_model_are_the_model(
    kind, around, edit, tmp_path
):
    keras.utils.set_random_seed(0)
    model = around(kind())
    part = next(one for one in walk_layers(model) if isinstance(one, kind))
    edit(model)
    assert is_marked(part) and isinstance(part, kind)
    assert type(part).__name__ == kind.__name__
    model.compile(keras.optimizers.Adam(), "mse")
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(3)
    model.save(tmp_path / "one.keras")
    loaded = keras.saving.load_model(tmp_path / "one.keras")
    assert_same(model, loaded)
    assert int(loaded.optimizer.iterations) == 3
    copies = [
        keras.models.clone_model(model),
        type(model).from_config(model.get_config()),
    ]
    for copy in copies:
        kernel = keras.ops.convert_to_numpy(find(copy, "a").kernel)
        assert 0.05 < np.std(kernel) < 1  # It is initialized.
        copy.set_weights(model.get_weights())
        assert_same(model, copy)

    # The loaded model is edited and saved like the first one.
    surgery.widen(loaded, find(loaded, "a"), add=2)
    loaded.save(tmp_path / "two.keras")
    assert_same(loaded, keras.saving.load_model(tmp_path / "two.keras"))


def test_the_report_says_what_a_file_needs():
    report = surgery.remove(nested(Net()), {find(net := Net(), "a").name: [0]})
    assert any(
        note.startswith("a saved file of the model needs `import keras_netopt`")
        and "'net" in note
        for note in report.notes
    )
    assert not is_marked(net)


@pytest.mark.parametrize("part", [Wide, lambda: layers.Dense(12, name="a")])
def test_what_describes_itself_stays_free_of_our_class(part, tmp_path):
    model = nested(part())
    report = surgery.remove(model, {find(model, "a"): [0, 2]})
    assert report.widths
    model.save(tmp_path / "one.keras")
    assert not any(is_marked(one) for one in walk_layers(model))
    assert not any("keras_netopt" in note for note in report.notes)
    assert "keras_netopt" not in json.dumps(
        keras.saving.serialize_keras_object(model), default=str
    )
    assert_same(model, keras.saving.load_model(tmp_path / "one.keras"))


def test_an_ordinary_subclass_stays_free_of_our_class(tmp_path):
    @register
    class OwnStep(keras.Model):
        """Only the training step is the user's."""

    inputs = keras.Input((12,))
    x = layers.Dense(12, activation="relu", name="a")(inputs)
    x = layers.Dense(12, activation="relu", name="b")(x)
    model = OwnStep(inputs, layers.Dense(2)(x))
    cut(model)
    deepen(model)
    assert not is_marked(model)
    model.save(tmp_path / "one.keras")
    loaded = keras.saving.load_model(tmp_path / "one.keras")
    assert type(loaded) is OwnStep
    assert_same(model, loaded)


def test_an_unregistered_class_is_found_as_keras_finds_it(tmp_path):
    class Unregistered(Net):
        pass

    model = Unregistered()
    deepen(model)
    model.save(tmp_path / "one.keras")
    custom = {"Unregistered": Unregistered}
    loaded = keras.saving.load_model(tmp_path / "one.keras", custom)
    assert_same(model, loaded)
    with pytest.raises(TypeError, match="Could not locate class"):
        keras.saving.load_model(tmp_path / "one.keras")


def test_a_class_that_has_changed_since_is_refused():
    model = Net()
    cut(model)
    config = model.get_config()
    (_, record), *_ = config["netopt_edits"]["steps"]
    next(iter(record.values()))["class"] = "Conv2D"
    with pytest.raises(ValueError, match="'net.*' must be a Conv2D.*load the"):
        type(model).from_config(config)


def test_the_edit_of_a_part_is_in_the_file_of_the_whole(tmp_path):
    @register
    class Whole(keras.Model):
        """A model around a part, rebuilt from nothing."""

        def __init__(self, **kwargs):
            inputs = keras.Input((12,))
            stack = [keras.Input((12,))]
            for name in ("a", "b"):
                stack.append(layers.Dense(12, activation="relu", name=name))
            part = keras.Sequential([*stack, layers.Dense(12)])
            super().__init__(inputs, layers.Dense(2)(part(inputs)), **kwargs)
            self.part = part

        def get_config(self):
            return {"name": self.name}

    model = Whole()
    deepen(model.part)
    cut(model.part)
    assert is_marked(model)
    model.save(tmp_path / "one.keras")
    assert_same(model, keras.saving.load_model(tmp_path / "one.keras"))


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_of_a_deeper_model_are_not_loaded_in_silence(tmp_path):
    model, path = Net(), tmp_path / "deep.weights.h5"
    surgery.deepen(model, "b", init="identity")
    model.save_weights(path)
    with pytest.raises(ValueError, match="received 1 variables during load"):
        Net().load_weights(path)
    deeper = Net()
    surgery.deepen(deeper, "b", copies=2)
    with pytest.raises(ValueError, match="call `surgery.replay"):
        deeper.load_weights(path)
    fresh = Net()
    surgery.replay(fresh, path)
    fresh.load_weights(path)
    assert_same(model, fresh)


def test_checkpoints_of_a_fit_are_loaded(tmp_path):
    x = np.random.default_rng(0).normal(size=(16, 12)).astype("float32")
    model = Net()
    model.compile("adam", "mse", run_eagerly=EAGER)
    callbacks = [
        ChannelPruning(0.5, min_channels=2, iterative_steps=1),
        keras.callbacks.ModelCheckpoint(tmp_path / "last.keras"),
        BestCheckpoint(tmp_path / "best.keras", monitor="loss"),
        keras.callbacks.BackupAndRestore(
            tmp_path / "backup", delete_checkpoint=False
        ),
    ]
    model.fit(x, x, epochs=3, batch_size=8, callbacks=callbacks, verbose=0)
    for name in ("last", "best"):
        loaded = keras.saving.load_model(tmp_path / f"{name}.keras")
        assert loaded.count_params() == model.count_params()
    assert_same(model, keras.saving.load_model(tmp_path / "last.keras"))
    resumed, path = Net(), tmp_path / "backup" / "latest.weights.h5"
    surgery.replay(resumed, path)
    resumed.load_weights(path)
    assert_same(model, resumed)


REGISTER = "@keras.saving.register_keras_serializable('edited_class')"
IMPORT = "import keras_netopt\n"
LOAD = """
import keras
try:
    model = keras.saving.load_model({path!r})
    print("loaded", model.count_params())
except TypeError as error:
    print(error)
"""


@pytest.mark.backend("jax")
def test_another_process_needs_the_import_and_says_so(tmp_path):
    model = nested(Fixed())
    surgery.remove(model, {find(model, "a"): [0, 1]})
    path = str(tmp_path / "one.keras")
    model.save(path)
    code = LOAD.format(path=path)
    made = f"import keras\nfrom keras import layers\n{inspect.getsource(Fixed)}"
    made = made.replace("@register", REGISTER)
    codes = {"without": made + code, "with": f"{IMPORT}{made}{code}"}
    found = run_fresh(codes, "import keras")
    assert "`import keras_netopt` before you load" in found["without"]
    assert found["with"] == f"loaded {model.count_params()}"
