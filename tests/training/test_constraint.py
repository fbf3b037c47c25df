"""Masks of tensors: which bits they leave."""

import keras
import numpy as np
import pytest

from keras_netopt.training.constraint import MaskConstraint, apply_mask

_ODD = (np.nan, np.inf, -np.inf, -0.0, -1.5, 1e-40, 0.0)


def _values(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns numbers with a mask, each both kept and masked."""
    values = np.array(2 * _ODD).reshape(2, -1).astype(dtype)
    mask = np.array([[True], [False]]).repeat(len(_ODD), axis=1)
    return values, mask


def _bits(tensor: object) -> list[int]:
    array = np.ascontiguousarray(keras.ops.convert_to_numpy(tensor))
    return array.view(f"uint{8 * array.itemsize}").ravel().tolist()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_masked_bits_are_those_of_plus_zero_and_others_stay(dtype):
    values, mask = _values(dtype)
    tensor = keras.ops.convert_to_tensor(values)
    masked = apply_mask(keras.ops.convert_to_tensor(mask), tensor)
    assert _bits(masked) == _bits(np.where(mask, values, values.dtype.type(0)))
    assert _bits(tensor) == _bits(values)


def test_a_tensor_in_any_memory_order_is_masked():
    values, mask = _values("float32")
    tensor = keras.ops.transpose(keras.ops.convert_to_tensor(values.T.copy()))
    masked = apply_mask(keras.ops.convert_to_tensor(mask), tensor)
    assert _bits(masked) == _bits(np.where(mask, values, np.float32(0)))


def test_a_constraint_masks_the_variable_that_it_is_assigned_to():
    values, mask = _values("float32")
    variable = keras.Variable(values)
    kept = keras.Variable(mask, dtype="bool", trainable=False)
    variable.assign(MaskConstraint(kept)(variable))
    assert _bits(variable) == _bits(np.where(mask, values, np.float32(0)))


def test_the_users_constraint_comes_first_and_its_result_is_masked():
    variable = keras.Variable(np.array([-2.0, -2.0, 3.0], "float32"))
    kept = keras.Variable([True, False, True], dtype="bool", trainable=False)
    both = MaskConstraint(kept, keras.constraints.NonNeg())
    variable.assign(both(variable))
    assert keras.ops.convert_to_numpy(variable).tolist() == [0.0, 0.0, 3.0]
