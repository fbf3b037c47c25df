"""The training of a model that tfmot made of a twin."""

from typing import Any, Self

import keras

from keras_netopt.tf_keras_bridge.copy_weights import copy_weights
from keras_netopt.tf_keras_bridge.keras_objects import convert_objects
from keras_netopt.tf_keras_bridge.kernel_report import (
    TwinReport,
    report_kernels,
)


class TwinTraining:
    """A model of tf_keras that tfmot has wrapped, and its way back.

    `compile`, `fit`, `evaluate` and `predict` are those of tf_keras. Strings,
    objects of tf_keras, and optimizers, losses and metrics of Keras 3 are
    accepted; callbacks must be those of tf_keras.

    Args:
        bridge: The crossing of the source.
        model: The wrapped model.
    """

    def __init__(self, bridge: Any, model: Any) -> None:
        self.bridge = bridge
        self.model = model
        self._start = self._make_plain()

    def compile(self, *args: Any, **kwargs: Any) -> Self:
        """Sets optimizer, loss and metrics, as `tf_keras.Model.compile`.

        Raises:
            TypeError: If an object of Keras 3 has no counterpart in tf_keras.
        """
        self.model.compile(
            *(convert_objects(one) for one in args),
            **{key: convert_objects(one) for key, one in kwargs.items()},
        )
        return self

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Trains the model, as `tf_keras.Model.fit`; returns the history."""
        convert_objects(kwargs.get("callbacks"))
        return self.model.fit(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluates the model, as `tf_keras.Model.evaluate`."""
        return self.model.evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the model, as `tf_keras.Model.predict`."""
        return self.model.predict(*args, **kwargs)

    def strip(self) -> Any:
        """Returns the plain model of tf_keras with the weights of now.

        The weights are those that the optimizer trains, in float32.
        """
        return self._make_plain()

    def to_keras(self) -> keras.Model:
        """Returns the source, cloned, with the weights of now.

        The weights equal those of `strip()` bit for bit. Activation ranges
        do not cross: only the LiteRT file has them.

        Raises:
            BridgeError: If the source has changed, or computes something
                else than `strip()`.
        """
        return self.bridge.to_keras(self.strip())

    def report(self) -> TwinReport:
        """Reports zeros and values of each kernel, before and now."""
        return report_kernels(self.model, self._start, self.strip())

    def _unwrapped(self) -> Any:
        return self.model

    def _make_plain(self) -> Any:
        import tf_keras

        plain = tf_keras.models.clone_model(self.bridge.model)
        copy_weights(self._unwrapped(), plain, self.bridge.model)
        return plain
