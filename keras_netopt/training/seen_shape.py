"""The shape of the data that a `fit` call trains on."""

from typing import Any

import keras

from keras_netopt.training.order import find_fit_arguments


def find_seen_shape(model: Any) -> Any:
    """Returns the shapes of the inputs of the running `fit` call.

    Nothing is read from the data but the shapes of arrays, the specification
    of a `tf.data.Dataset`, and the first batch of a `PyDataset`. The batch
    axis is `None`. Returns `None` for other data.
    """
    data: Any = find_fit_arguments(model).get("x")
    if isinstance(data, keras.utils.PyDataset):
        data = keras.utils.unpack_x_y_sample_weight(data[0])[0]
    elif hasattr(data, "element_spec"):
        data = keras.utils.unpack_x_y_sample_weight(data.element_spec)[0]
    leaves = keras.tree.flatten(data)
    if not leaves or not all(map(_has_shape, leaves)):
        return None
    return keras.tree.map_structure(_free_batch, data)


def _has_shape(leaf: Any) -> bool:
    shape = getattr(leaf, "shape", None)
    return shape is not None and getattr(shape, "rank", 0) is not None


def _free_batch(leaf: Any) -> tuple[int | None, ...]:
    return (None, *tuple(leaf.shape)[1:])
