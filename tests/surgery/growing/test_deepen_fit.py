"""Deepening in the middle of training."""

import keras
import numpy as np
import pytest
from surgery.growing.deepen_nets import (
    answers,
    array_of,
    assert_like_reloaded,
    cnn,
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
        (mlp, [{"layer": "hidden"}]),
        (cnn, [{"layer": "dense"}, {"layer": "conv", "copies": 2}]),
        (nested, [{"layer": "enc/fc"}, {"layer": "head/fc"}]),
    ],
)
def test_deepening_inside_fit(build, edits, tmp_path):
    check_fit(build(), edits, tmp_path)


def test_deepening_between_two_batches(tmp_path):
    check_fit(mlp(), [{"layer": "hidden"}], tmp_path, batch=4)


@pytest.mark.skipif(BACKEND == "torch", reason="torch.compile is not run")
def test_deepening_under_xla(tmp_path):
    model = mlp(jit_compile=True)
    check_fit(model, [{"layer": "hidden"}], tmp_path, tolerance=1e-5)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras refuses it on torch")
def test_deepening_with_several_steps_an_execution(tmp_path):
    model = mlp(steps_per_execution=2)
    steps = {"jax": 3, "tensorflow": 3}[BACKEND]
    check_fit(model, [{"layer": "hidden"}], tmp_path, steps=steps)


def test_deepening_in_half_precision(tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = mlp("gelu")
        check_fit(model, [{"layer": "hidden"}], tmp_path, tolerance=1e-2)
    finally:
        keras.config.set_dtype_policy(before)
    block = model.get_layer("hidden_deeper1")
    assert {v.dtype for v in block.weights} == {"float32"}
    assert block.layers[1].compute_dtype == "float16"


@pytest.mark.parametrize("name", ["SGD", "Muon", "Adafactor"])
def test_training_continues_with_other_optimizers(name, tmp_path):
    options = {"momentum": 0.9, "use_ema": True} if name == "SGD" else {}
    optimizer = getattr(keras.optimizers, name)(1e-2, **options)
    model = mlp("relu", optimizer=optimizer)
    x, y = data(model)
    model.optimizer.build(model.trainable_variables)
    init = "identity" if name == "Adafactor" else "residual_zero"
    deepen(model, "hidden", init=init)
    deepen(model, "second", init=init, copies=2)
    history = model.fit(x, y, batch_size=16, epochs=7, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert_like_reloaded(model, tmp_path)


@pytest.mark.skipif(BACKEND != "torch", reason="a list of torch's own")
def test_torch_parameters_are_those_of_the_edited_model():
    model = nested()
    x, y = data(model)
    model.fit(x, y, verbose=0)
    deepen(model, "enc/fc")
    surgery.widen(model, "enc/fc", factor=2)
    mine = {id(v.value) for v in model.trainable_variables}
    assert {id(p) for p in model.parameters() if p.requires_grad} == mine


@pytest.mark.skipif(BACKEND != "tensorflow", reason="SavedModel is its format")
def test_a_deepened_model_exports(tmp_path):
    import tensorflow as tf

    model = nested()
    deepen(model, "head/fc")
    deepen(model, "enc/fc", init="identity")
    x, _ = data(model)
    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(served.serve(x), answers(model, x), atol=1e-5)
