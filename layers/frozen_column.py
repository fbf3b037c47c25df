"""Runs a trained network as fixed features."""

import copy
from typing import Any

import keras
from keras import ops

from keras_netopt.graph.layers import walk_layers
from keras_netopt.serialization import export_class
from keras_netopt.training.backend import (
    clear_losses,
    keep_rounding,
    qualify_paths,
    without_gradients,
)


@export_class
class FrozenColumn(keras.layers.Layer):
    """Computes the hidden tensors of a trained column, which never changes.

    The column runs in inference mode, also in `fit`: Dropout is off and the
    statistics of BatchNormalization stand still. No gradient is computed for
    it, no weight of it is trainable, and `trainable = True` on the layer or on
    a model around it does not change that; weight decay and moving averages
    of the optimizer leave it out, and losses that its layers add, such as those
    of an `activity_regularizer`, do not count. `progressive.ProgressiveNetwork`
    wraps the columns of finished tasks.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((8,))
    >>> h1 = keras.layers.Dense(16, "relu")(inputs)
    >>> h2 = keras.layers.Dense(4, "relu")(h1)
    >>> frozen = netopt.layers.FrozenColumn(keras.Model(inputs, [h1, h2]))
    >>> [tuple(h.shape) for h in frozen(keras.Input((8,)))]
    [(None, 16), (None, 4)]
    >>> frozen.trainable = True
    >>> frozen.trainable, len(frozen.trainable_variables)
    (False, 0)

    Args:
        column: A built model from inputs to a list of hidden tensors. Its
            layers are shared, not copied, and become non-trainable.
        **kwargs: As in every layer.

    Call arguments:
        inputs: The inputs of the column: a tensor or a list.

    Output shape:
        A list with the shape of each hidden tensor.

    Raises:
        TypeError: If `column` is not a Keras model.
        ValueError: If `column` is not built.

    Reference:
        Rusu et al., *Progressive Neural Networks*, 2016, arXiv 1606.04671
    """

    def __init__(self, column: keras.Model, **kwargs: Any) -> None:
        if not isinstance(column, keras.Model):
            raise TypeError(
                "Argument `column` must be a Keras model. Received: "
                f"column={column!r} of type {type(column).__name__}"
            )
        if not column.built:
            raise ValueError(
                "Argument `column` must be built. Received: "
                f"column={column!r}. Call the model on a batch first."
            )
        kwargs.pop("trainable", None)
        super().__init__(trainable=False, **kwargs)
        self.supports_masking = True
        self.column = column
        self.trainable = False
        qualify_paths(column, self.name)
        self.built = True

    @property
    def trainable(self) -> bool:
        """Always `False`; any value that is set freezes the column again."""
        return False

    @trainable.setter
    def trainable(self, value: bool) -> None:
        _freeze(getattr(self, "column", None))

    @property
    def variables(self) -> list[Any]:
        """All variables, none of which is trainable.

        Models ask each layer for its variables and then each variable whether
        it is trainable; another model that shares the layers may have set
        that flag.
        """
        _freeze(self.column)
        return super().variables

    @property
    def weights(self) -> list[Any]:
        """All weights, none of which is trainable."""
        _freeze(self.column)
        return super().weights

    def build(self, input_shape: Any) -> None:
        """Does nothing: the column is built."""

    def call(self, inputs: Any) -> list[Any]:
        """Returns the hidden tensors, computed in inference mode."""
        given = keras.tree.pack_sequence_as(
            self.column.input, keras.tree.flatten(inputs)
        )
        with without_gradients():
            outputs = self.column(given, training=False)
        # Penalties on activations that do not change.
        clear_losses(self.column)
        return [ops.stop_gradient(one) for one in keras.tree.flatten(outputs)]

    def compute_output_spec(self, inputs: Any) -> list[Any]:
        """Returns the shapes of the hidden tensors, layer by layer.

        Layers may know the shape of what they cannot trace, such as a maximum
        over an unknown number of steps on JAX.
        """
        given = keras.tree.pack_sequence_as(
            self.column.input, keras.tree.flatten(inputs)
        )
        outputs = self.column.compute_output_spec(given)
        return keras.tree.flatten(outputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> list[None]:
        """Returns no masks: the column has applied those of its inputs."""
        return [None] * len(keras.tree.flatten(self.column.output))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["trainable"]
        column = keras.saving.serialize_keras_object(self.column)
        return {**config, "column": column}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Builds the layer from its config."""
        # Keras removes entries of the config of a Functional model.
        stored = copy.deepcopy(config["column"])
        column = keras.saving.deserialize_keras_object(stored)
        return cls(**{**config, "column": column})


def _freeze(column: keras.Model | None) -> None:
    """Makes every layer and variable non-trainable.

    Each layer is told by itself: on TensorFlow, Keras skips `trainable =
    False` on a layer that has the value already, whatever the layers inside
    it have, for example after a file was read.
    """
    if column is None:
        return
    for layer in walk_layers(column):
        if layer.trainable:
            layer.trainable = False
    for variable in column.weights:
        if variable.trainable:
            variable.trainable = False
    keep_rounding(column)
