"""A marker: here an answer may leave the network."""

from typing import Any

import keras

from keras_netopt.serialization import export_class


@export_class
class EarlyExit(keras.layers.Layer):
    """Marks a place where easy samples may leave the network early.

    In the model itself the layer passes its input on, bit for bit, and has no
    weights. `keras_netopt.depth.add_exits(model)` finds every marker, hangs
    the head on it and returns the model that trains all exits at once. Under
    a plain `fit` of the model the head takes no part.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((8,))
    >>> x = keras.layers.Dense(16, activation="relu")(inputs)
    >>> x = netopt.layers.EarlyExit(keras.layers.Dense(3), name="easy")(x)
    >>> x = keras.layers.Dense(16, activation="relu")(x)
    >>> model = keras.Model(inputs, keras.layers.Dense(3)(x))
    >>> netopt.depth.add_exits(model).exit_names
    ('easy', 'final')

    Args:
        head: The layer (or model) that turns the features here into an answer
            of the shape of the final one. Defaults to `None`: `add_exits`
            makes one by the rank of the features.
        name: Name of the layer and of the exit's output. Defaults to `None`:
            a name that Keras makes.

    Call arguments:
        inputs: Features of any shape.

    Input shape:
        Any, `(batch, ...)`.

    Output shape:
        That of the input.

    Raises:
        TypeError: If `head` is no layer.

    Reference:
        Teerapittayanon, McDanel and Kung, *BranchyNet*, 2016, arXiv
        1709.01686.
    """

    def __init__(
        self,
        head: keras.layers.Layer | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if head is not None and not isinstance(head, keras.layers.Layer):
            raise TypeError(
                "Argument `head` must be a Keras layer or None. "
                f"Received: head={head!r}"
            )
        super().__init__(name=name, **kwargs)
        self.supports_masking = True
        # A plain attribute would make the head's weights part of this layer,
        # and a plain `fit` would find no gradient for them.
        self._marked = _Untracked(head)

    @property
    def netopt_exit_head(self) -> keras.layers.Layer | None:
        """The head, found by this name by `add_exits`."""
        return self._marked.value

    def build(self, input_shape: Any) -> None:
        """Makes no weights."""
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Returns the input itself."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns every constructor argument."""
        head = self.netopt_exit_head
        config = None
        if head is not None:
            config = keras.saving.serialize_keras_object(head)
        return {"head": config, **super().get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EarlyExit":
        """Builds the layer again."""
        head = keras.saving.deserialize_keras_object(config["head"])
        return cls(**{**config, "head": head})


class _Untracked:
    """Holds a layer where Keras does not look for weights."""

    def __init__(self, value: keras.layers.Layer | None) -> None:
        self.value = value
