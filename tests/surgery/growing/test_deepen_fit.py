"""Deepening in the middle of training."""

import functools

import keras
import numpy as np
import pytest
from surgery.conftest import EAGER
from surgery.growing.deepen_nets import (
    answers,
    array_of,
    assert_like_reloaded,
    data,
    mlp,
    nested,
)

from keras_netopt import surgery
from keras_netopt.surgery.growing.deepen import deepen

BACKEND = keras.backend.backend()


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


def grow_inside_fit(model, edits, *, batch=None, tolerance=1e-6, steps=3):
    """Two epochs, the model grows in the second; checks that it trains."""
    x, y = data(model)
    grow = Grow(x, edits, batch=batch)
    fit = functools.partial(model.fit, x, y, batch_size=16, verbose=0)
    fit(epochs=2, callbacks=[grow])
    assert grow.preserved.max_abs <= tolerance
    assert grow.preserved.training <= tolerance
    assert grow.before.inference[0].std() > 1e-3
    assert grow.iterations == [steps, 2 * steps]
    before = array_of(grow.kernel)
    assert np.abs(before).max() > 0
    fit()
    assert not np.array_equal(before, array_of(grow.kernel))


def test_deepening_inside_fit(tmp_path):
    """Functions traced before: of training, of validation, of prediction."""
    model = mlp()
    x, y = data(model)
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    grow_inside_fit(model, [{"layer": "hidden"}])
    logits = keras.ops.convert_to_numpy(model(x, training=False))
    loss = float(keras.ops.convert_to_numpy(model.loss(y, logits)))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(loss, abs=1e-5)
    found = model.predict(x, verbose=0)
    np.testing.assert_allclose(found, logits, atol=1e-5)
    assert_like_reloaded(model, tmp_path)


def test_deepening_nested_models_between_two_batches():
    model = nested(optimizer=keras.optimizers.SGD(0.1, 0.9))
    edits = [{"layer": "enc/fc"}, {"layer": "head/fc", "copies": 2}]
    grow_inside_fit(model, edits, batch=4)


def test_deepening_under_xla_with_several_steps_an_execution():
    model = mlp(
        optimizer=keras.optimizers.SGD(0.1, 0.9),
        # On torch Keras refuses the one, and the other is not run.
        steps_per_execution=1 if BACKEND == "torch" else 2,
        jit_compile=BACKEND != "torch",
    )
    grow_inside_fit(model, [{"layer": "hidden"}], tolerance=1e-5)


def test_deepening_in_half_precision(tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = mlp("gelu", run_eagerly=EAGER)
        grow_inside_fit(model, [{"layer": "hidden"}], tolerance=1e-2)
        assert_like_reloaded(model, tmp_path)
    finally:
        keras.config.set_dtype_policy(before)
    block = model.get_layer("hidden_deeper1")
    assert {v.dtype for v in block.weights} == {"float32"}
    assert block.layers[1].compute_dtype == "float16"


@pytest.mark.parametrize("name", ["SGD", "Muon", "Adafactor"])
def test_training_continues_with_other_optimizers(name, tmp_path):
    options = {"momentum": 0.9, "use_ema": True} if name == "SGD" else {}
    optimizer = getattr(keras.optimizers, name)(1e-2, **options)
    model = mlp("relu", optimizer=optimizer, run_eagerly=EAGER)
    x, y = data(model)
    model.optimizer.build(model.trainable_variables)
    init = "identity" if name == "Adafactor" else "residual_zero"
    deepen(model, "hidden", init=init)
    deepen(model, "second", init=init, copies=2)
    history = model.fit(x, y, batch_size=24, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert_like_reloaded(model, tmp_path)


@pytest.mark.backend("torch")
def test_the_parameters_of_torch_are_those_of_the_edited_model():
    model = nested()
    x, y = data(model)
    model.fit(x, y, verbose=0)
    deepen(model, "enc/fc")
    surgery.widen(model, "enc/fc", factor=2)
    mine = {id(v.value) for v in model.trainable_variables}
    assert {id(p) for p in model.parameters() if p.requires_grad} == mine


@pytest.mark.backend("tensorflow")
def test_a_saved_model_answers_as_the_edited_model(tmp_path):
    import tensorflow as tf

    model = nested()
    deepen(model, "head/fc")
    deepen(model, "enc/fc", init="identity")
    x, _ = data(model)
    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(served.serve(x), answers(model, x), atol=1e-5)
