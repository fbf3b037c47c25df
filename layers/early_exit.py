"""Marks the position of an early exit."""

from typing import Any

import keras

from keras_netopt.serialization import export_class


@export_class
class EarlyExit(keras.layers.Layer):
    """Marks a position at which samples can exit early.

    The layer returns its input unchanged and has no weights.
    `keras_netopt.depth.add_exits(model)` finds every `EarlyExit`, attaches its
    head and returns a model that trains all exits jointly. A plain `fit` of
    the original model does not train the head.

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
        head: The exit head, a layer or model that maps the features here to
            the shape of the final output. Defaults to `None`: `add_exits`
            makes a default head.
        **kwargs: As in every layer; `name` is also the name of the exit's
            output.

    Call arguments:
        inputs: Features of any shape.

    Input shape:
        Any, `(batch, ...)`.

    Output shape:
        The input shape.

    Raises:
        TypeError: If `head` is not a layer.

    Reference:
        Teerapittayanon, McDanel and Kung, *BranchyNet*, 2016, arXiv
        1709.01686.
    """

    def __init__(
        self,
        head: keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        if head is not None and not isinstance(head, keras.layers.Layer):
            raise TypeError(
                "Argument `head` must be a Keras layer or None. "
                f"Received: head={head!r}"
            )
        super().__init__(**kwargs)
        self.supports_masking = True
        # A tracked head would add its weights to this layer, and a plain
        # `fit` would find no gradient for them.
        self._head_holder = _Untracked(head)

    @property
    def netopt_exit_head(self) -> keras.layers.Layer | None:
        """The head, which `add_exits` reads."""
        return self._head_holder.value

    def build(self, input_shape: Any) -> None:
        """Creates no weights."""
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Returns the inputs."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        head = self.netopt_exit_head
        config = None
        if head is not None:
            config = keras.saving.serialize_keras_object(head)
        return {"head": config, **super().get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EarlyExit":
        """Builds the layer from its config."""
        head = keras.saving.deserialize_keras_object(config["head"])
        return cls(**{**config, "head": head})


class _Untracked:
    """Holds a layer without Keras tracking its weights."""

    def __init__(self, value: keras.layers.Layer | None) -> None:
        self.value = value
