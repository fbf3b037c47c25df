"""A layer of tf_keras that computes one op of `keras.ops`.

Imported on first use, because it imports tf_keras.
"""

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from keras_netopt.serialization import PACKAGE
from keras_netopt.tf_keras_bridge.call_template import decode
from keras_netopt.tf_keras_bridge.tf_ops import OPS


@tf_keras.saving.register_keras_serializable(PACKAGE)
class TFOperation(tf_keras.layers.Layer):
    """Computes one op of Keras 3 with TensorFlow.

    Args:
        op: Name of the op's class in Keras.
        call_args: The positional arguments; see `call_template`.
        call_kwargs: The keyword arguments, likewise.
        casts: The dtype to which tensors and positional numbers are cast
            first, or `None`.
        **kwargs: `name` and `dtype`.
    """

    def __init__(
        self,
        op: str,
        call_args: Any,
        call_kwargs: Any,
        casts: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs, autocast=False)
        self.op = op
        self.call_args = call_args
        self.call_kwargs = call_kwargs
        self.casts = casts

    def call(self, inputs: Any) -> Any:
        """Runs the op on a tensor or a list of tensors."""
        tensors = list(tf.nest.flatten(inputs))
        if self.casts is not None:
            tensors = [tf.cast(one, self.casts) for one in tensors]
        args = [decode(one, tensors) for one in self.call_args]
        if self.casts is not None:
            args = tf.nest.map_structure(self._cast_number, args)
        kwargs = {k: decode(v, tensors) for k, v in self.call_kwargs.items()}
        return OPS[self.op](*args, **kwargs)

    def _cast_number(self, value: Any) -> Any:
        is_operand = isinstance(value, int | float | np.ndarray)
        return tf.cast(value, self.casts) if is_operand else value

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Drops the mask, as an op of Keras does."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        config: dict[str, Any] = super().get_config()
        config.pop("autocast", None)
        return config | {
            "op": self.op,
            "call_args": self.call_args,
            "call_kwargs": self.call_kwargs,
            "casts": self.casts,
        }
