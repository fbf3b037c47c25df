"""A model saved for another process, and rebuilt there: here, in this one."""

import builtins
import sys
import types

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.export import ExportError, rebuilt_model
from keras_netopt.export.exportable_model import prepare_model
from keras_netopt.export.portable_model import save_portable
from keras_netopt.quantization import ActivationRanges


class TwoArguments(keras.Model):
    """Keras does not record the shapes of the second argument."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.head = layers.Dense(2)

    def call(self, x, shift):
        return self.head(x) + shift


def scaled(x):
    return 0.5 * x


def two_arguments():
    model = TwoArguments()
    model(np.zeros((2, 3), "float32"), np.zeros((2, 2), "float32"))
    return model


def with_functions():
    """A function and a lambda, by attribute of a layer and in a config."""
    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, activation=scaled),
            layers.Lambda(lambda x: x + 1.0),
        ]
    )


def compiled_with_a_closure():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    shift = np.ones(1)
    model.compile("adam", loss=lambda y, p: keras.ops.mean(y - p) + shift[0])
    return model


def half_precision():
    return keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, dtype="mixed_bfloat16")]
    )


def with_ranges():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    ActivationRanges.attach(model).assign(np.array([[0, 0.5], [-1, 1]]))
    return model


SIGNATURES = {
    two_arguments: [
        keras.InputSpec(shape=(None, 3)),
        keras.InputSpec(shape=(None, 2)),
    ]
}


@pytest.fixture
def rebuild(tmp_path, monkeypatch):
    """A function from a model to its copy, and the stages reported."""

    def run(model, signature=None):
        found, stages = [], []
        monkeypatch.setattr(
            rebuilt_model, "write_saved_model", lambda *args: found.append(args)
        )
        exportable = prepare_model(model, input_signature=signature)
        save_portable(exportable, str(tmp_path))
        rebuilt_model.rebuild_model(str(tmp_path), "target", stages.append)
        ((copy, specs, target),) = found
        assert target == "target"
        assert stages == [
            "rebuilt the model under TensorFlow",
            "traced the model",
        ]
        return exportable, copy, specs

    return run


def test_copy_computes_the_same(rebuild):
    wrong = []
    for build in (
        two_arguments,
        with_functions,
        compiled_with_a_closure,
        half_precision,
        with_ranges,
    ):
        original, copy, specs = rebuild(build(), SIGNATURES.get(build))
        x = [
            np.ones((2, *s.shape[1:]), "float32")
            for s in keras.tree.flatten(specs)
        ]
        one, two = (
            keras.ops.convert_to_numpy(model(*x, training=False))
            for model in (original.model, copy)
        )
        if copy is original.model or not np.array_equal(one, two):
            wrong.append(build.__name__)
    assert wrong == []


def test_copy_with_other_weights_is_refused(rebuild):
    class Growing(layers.Layer):
        size = 2

        def build(self, shape):
            self.w = self.add_weight(shape=(Growing.size,))

        def call(self, x):
            return x * keras.ops.sum(self.w)

    model = keras.Sequential([keras.Input((3,)), Growing()])
    Growing.size = 3
    with pytest.raises(ValueError):
        rebuild(model)


def test_object_that_cannot_be_saved_is_refused(tmp_path):
    class Odd(layers.Layer):
        def __init__(self, value):
            super().__init__()

        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((3,)), Odd(object())])
    with pytest.raises(ExportError) as error:
        save_portable(prepare_model(model), str(tmp_path))
    assert "NotImplementedError: Object Odd was created by pass" in str(
        error.value
    )


def test_without_cloudpickle_local_classes_are_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "cloudpickle":
            raise ImportError
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)

    class Local(layers.Layer):
        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((3,)), Local()])
    with pytest.raises(ExportError) as error:
        save_portable(prepare_model(model), str(tmp_path))
    assert str(error.value) == (
        f"On the {keras.backend.backend()} backend a model is rebuilt in "
        "another process, which cannot import these classes and functions: "
        "['Local']. Move them into a module, or run "
        '`pip install "keras-netopt[processes]"`, which sends their code.'
    )


def test_classes_of_a_module_on_no_path_are_sent(rebuild, monkeypatch):
    source = (
        "import keras\n"
        "class Twice(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return 2.0 * x\n"
    )
    module = types.ModuleType("on_no_path")
    monkeypatch.setitem(sys.modules, "on_no_path", module)
    exec(source, module.__dict__)
    model = keras.Sequential([keras.Input((3,)), module.Twice()])
    save = rebuilt_model.pickle.load

    def load(file):
        sys.modules.pop("on_no_path", None)
        return save(file)

    monkeypatch.setattr(rebuilt_model.pickle, "load", load)
    _, copy, _ = rebuild(model)
    x = np.ones((1, 3), "float32")
    np.testing.assert_array_equal(copy(x), 2.0 * x)
