import keras
import numpy as np
import pytest

from keras_netopt import surgery
from keras_netopt.graph.read_value import to_numpy


def test_a_snapshot_leaves_the_model_unchanged(residual, images):
    model = residual()
    before = [to_numpy(v) for v in model.variables]
    kept = surgery.snapshot(model, images[0])
    found = surgery.check_preserved(kept, model)
    assert found.verdict == "exact" and found.agreement == 1.0
    assert found.max_abs == 0.0
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, to_numpy(new))


def test_training_mode_sees_batch_statistics(residual, images):
    model, other = residual(), residual()
    norm = other.get_layer("norm")
    norm.moving_mean.assign(norm.moving_mean + 0.5)
    found = surgery.check_preserved(model, other, images[0])
    assert found.max_abs > 1e-3 and found.training == 0.0
    assert found.verdict == "changed"


def test_the_verdict_is_relative_to_the_largest_output():
    def preservation(gap, scale):
        return surgery.OutputDifference(gap, 0.0, 1.0, 0.0, scale)

    assert preservation(9e-6, 1.0).verdict == "exact"
    assert preservation(2e-5, 1.0).verdict == "close"
    assert preservation(2e-5, 10.0).verdict == "exact"
    assert preservation(2e-3, 1.0).verdict == "changed"


def test_agreement_is_the_share_of_equal_argmax(images):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.set_weights([np.eye(2), np.zeros(2)])
    x = np.array([[1, 0], [0, 1], [3, 0], [0, 4]], "float32")
    before = surgery.snapshot(model, x)
    model.set_weights([np.eye(2), np.array([2.0, 0.0])])
    assert surgery.check_preserved(before, model).agreement == 0.75


def test_random_inputs_are_named_as_such(residual):
    found = surgery.check_preserved(surgery.snapshot(residual()), residual())
    assert found.is_random and "random inputs" in str(found)


def test_integer_inputs_need_x():
    model = keras.Sequential(
        [keras.Input((4,), dtype="int32"), keras.layers.Embedding(9, 2)]
    )
    assert surgery.snapshot(model) is None
    with pytest.raises(ValueError, match=r"Received: x=None$"):
        surgery.check_preserved(model, model)
    x = np.arange(8).reshape(2, 4)
    assert surgery.check_preserved(model, model, x).max_abs == 0.0


def test_other_output_shapes_raise(residual):
    other = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)]
    )
    with pytest.raises(ValueError, match=r"before=\[\(64, 3\)\], after="):
        surgery.check_preserved(surgery.snapshot(residual()), other)


def test_subclassed_models_need_x():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.table = keras.layers.Embedding(9, 2)

        def call(self, x):
            return self.table(x)

    model, x = Own(), np.arange(8).reshape(2, 4)
    model(x)
    assert surgery.snapshot(model) is None
    with pytest.raises(ValueError, match=r"subclassed .*Received: x=None$"):
        surgery.check_preserved(model, model)
    assert surgery.check_preserved(model, model, x).verdict == "exact"
