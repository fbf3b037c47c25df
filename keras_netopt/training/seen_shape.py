"""The shape of the data that a `fit` call trains on."""

import contextlib
from typing import Any

import keras

from keras_netopt.graph.symbolic import is_never_called
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


def build_at_seen_shape(model: Any) -> None:
    """Builds a model for the data of `fit` if only its parts are built.

    JAX and torch do so before `fit` begins. TensorFlow does it in the first
    step: until then the inputs of a model such as a `Distiller` are unknown,
    although it has all of its weights. A model without a `call` stays as it
    is.
    """
    shapes = find_seen_shape(model) if is_never_called(model) else None
    if shapes is None:
        return
    with contextlib.suppress(Exception):  # Checks of the model give reasons.
        specs = keras.tree.map_shape_structure(keras.KerasTensor, shapes)
        model.compute_output_spec(specs)
        model.build(shapes)


def _has_shape(leaf: Any) -> bool:
    shape = getattr(leaf, "shape", None)
    return shape is not None and getattr(shape, "rank", 0) is not None


def _free_batch(leaf: Any) -> tuple[int | None, ...]:
    return (None, *tuple(leaf.shape)[1:])
