"""Models whose outputs differ from run to run, or that keep a state."""

import re

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.export import ExportError, to_litert
from keras_netopt.export.exportable_model import prepare_model
from keras_netopt.export.input_samples import make_samples
from keras_netopt.export.model_runs import ModelRuns

RANDOM = r"random: outputs differ from run to run by ([\d.]+)"


class Drawn(layers.Layer):
    """Draws in each call, with an op that LiteRT has."""

    def call(self, x):
        import tensorflow as tf

        return x + 0.1 * tf.random.normal(tf.shape(x))


class DrawnWhenTraced(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.rng = np.random.default_rng(0)

    def call(self, x):
        return x + 0.1 * self.rng.normal(size=(1, 256)).astype("float32")


class AlwaysDropout(layers.Layer):
    """Monte Carlo dropout."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(3)

    def call(self, x):
        return keras.random.dropout(x, 0.5, seed=self.seed)


class Sometimes(layers.Layer):
    """Draws for the samples that the first batches do not hold."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.rng = np.random.default_rng(0)

    def call(self, x):
        is_graph = x.shape[0] is None
        return x if is_graph or x.shape[0] == 1 else x + self.rng.random()


class CountsCalls(layers.Layer):
    def build(self, shape):
        self.calls = self.add_weight(
            shape=(), initializer="zeros", trainable=False
        )

    def call(self, x):
        self.calls.assign_add(1.0)
        return x + self.calls


def build(layer):
    return keras.Sequential([keras.Input((256,)), layer], name="net")


@pytest.mark.parametrize("quantize", [None, "float16"])
def test_random_model_is_not_blamed_on_the_converter(quantize, tmp_path):
    path = str(tmp_path / "m.tflite")
    with pytest.warns(UserWarning) as caught:
        report = to_litert(build(Drawn()), path, quantize=quantize)
    (warning,) = report.warnings
    assert [str(w.message) for w in caught] == [f"{path}: {warning}"]
    noise = float(re.match(RANDOM, warning)[1])
    # The largest of 768 differences of two normal draws.
    assert 0.3 < noise < 0.9
    assert report.verification.randomness == pytest.approx(noise, rel=0.1)
    assert "repeats one draw" not in warning


def test_file_that_repeats_one_draw_is_told(tmp_path):
    with pytest.warns(UserWarning, match=RANDOM):
        report = to_litert(build(DrawnWhenTraced()), tmp_path / "m.tflite")
    assert report.warnings[0].endswith(
        "The file repeats one draw of the random numbers."
    )


def test_randomness_that_the_first_samples_do_not_show_is_found(tmp_path):
    with pytest.warns(UserWarning, match=RANDOM):
        report = to_litert(build(Sometimes()), tmp_path / "m.tflite")
    assert 0 < report.verification.randomness < 1


def test_larger_differences_than_from_run_to_run_are_an_error(
    tmp_path, monkeypatch
):
    model = keras.Sequential(
        [keras.Input((256,)), DrawnWhenTraced(), layers.Lambda(far_in_a_graph)]
    )
    with pytest.raises(ExportError) as error:
        to_litert(model, tmp_path / "m.tflite")
    assert re.search(rf"is allowed \({RANDOM}\)\. ", str(error.value))


def far_in_a_graph(x):
    import tensorflow as tf

    return x if tf.executing_eagerly() else x + 5.0


def test_random_op_without_a_kernel_is_told(tmp_path):
    model = build(AlwaysDropout(name="monte_carlo"))
    seed = np.array(model.layers[0].seed.state)
    with pytest.raises(ExportError) as error:
        to_litert(model, tmp_path / "m.tflite")
    assert "(in layer monte_carlo). The model draws random numbers at " in str(
        error.value
    )
    np.testing.assert_array_equal(model.layers[0].seed.state, seed)


def test_seeds_are_drawn_on_and_restored():
    exportable = prepare_model(build(AlwaysDropout()))
    state = exportable.model.layers[0].seed.state
    before = np.array(state)
    with ModelRuns(exportable, make_samples(exportable)[0]) as runs:
        assert runs.randomness > 0.5
        exportable.model(np.ones((1, 256)))
        assert not np.array_equal(state, before)
    np.testing.assert_array_equal(state, before)


def test_model_with_a_state_is_compared_from_the_same_state(tmp_path):
    model = build(CountsCalls())
    model.layers[0].calls.assign(4.0)
    report = to_litert(model, tmp_path / "m.tflite")
    assert report.max_abs_diff < 1e-5 and report.warnings == ()
    assert float(model.layers[0].calls) == 4.0
