"""Computes the features of frozen columns once instead of in every epoch."""

from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.graph.make_submodel import make_submodel
from keras_netopt.graph.model_graph import as_graph, output_structure
from keras_netopt.graph.recorded_calls import list_calls
from keras_netopt.layers.frozen_column import FrozenColumn
from keras_netopt.progressive.task import Task, find_task
from keras_netopt.training.compiled_clone import compile_like
from keras_netopt.training.randomness import preserve_random_state


class CachedFeatures:
    """A model without frozen columns and the features that it reads.

    `cache_features` returns it. `model` shares its layers with the task and
    trains as long as the task does.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> hidden = [keras.layers.Dense(n, "relu") for n in (16, 8)]
    >>> first = keras.Sequential(
    ...     [keras.Input((4,)), *hidden, keras.layers.Dense(1)])
    >>> second = netopt.progressive.next_task(first)
    >>> x = np.zeros((10, 4), "float32")
    >>> cached = netopt.progressive.cache_features(second, x)
    >>> print(cached)
    10 samples, 2 features of frozen columns, 960 bytes

    Args:
        task: An unfinished task.
        x: Inputs of the task, as arrays.
        batch_size: Samples per batch in which features are computed, at least
            1. Defaults to `256`.

    Attributes:
        model: Model of the inputs and the features, compiled like the task.
        x: List of arrays for `model.fit`.
    """

    def __init__(self, task: Task, x: Any, *, batch_size: int = 256) -> None:
        check_integer(batch_size, "batch_size", minimum=1)
        if task.is_finished:
            raise ValueError(
                "Features are cached to train a task, and finished tasks do "
                f"not train. Received: finished task {task.name!r}"
            )
        self._batch_size = batch_size
        self._input = task.model.input
        own = keras.tree.flatten(self._input)
        read = _find_read(task.model)
        self._own = [k for k, one in enumerate(own) if id(one) in read]
        features = [
            one
            for one in task.inputs
            if id(one) in read and not any(one is entry for entry in own)
        ]
        if not features:
            raise ValueError(
                "Argument `model` must be a task that reads features of "
                f"earlier tasks. Received: task {task.name!r} without lateral "
                "connections; train it as it is."
            )
        self._extract = keras.Model(self._input, features)
        self.model = make_submodel(
            [*(own[k] for k in self._own), *features],
            output_structure(as_graph(task.model)),
            name=f"{task.name}_cached",
        )
        if task.model.compiled:
            compile_like(self.model, task.model)
        task.cached.append(self.model)
        self.x = self.transform(x)

    @property
    def nbytes(self) -> int:
        """Memory that the features take, in bytes."""
        return sum(one.nbytes for one in self.x[len(self._own) :])

    def transform(self, x: Any) -> list[np.ndarray]:
        """Returns the inputs of `model` for inputs of the task.

        Args:
            x: Inputs of the task, as arrays, such as validation data.
        """
        self._check(x)
        given = keras.tree.map_structure(np.asarray, x)
        with preserve_random_state():  # torch draws a number per `predict`.
            features = self._extract.predict(
                given, batch_size=self._batch_size, verbose=0
            )
        flat = keras.tree.flatten(given)
        return [*(flat[k] for k in self._own), *keras.tree.flatten(features)]

    def _check(self, x: Any) -> None:
        try:
            keras.tree.assert_same_structure(self._input, x)
        except (ValueError, TypeError) as error:
            raise ValueError(
                "Argument `x` must hold one array for each input of the task, "
                f"in the structure of its inputs. Received: x={type(x)}"
            ) from error

    def __str__(self) -> str:
        features = len(self.x) - len(self._own)
        return (
            f"{len(self.x[-1]):,} samples, {features} features of frozen "
            f"columns, {self.nbytes:,} bytes"
        )


def cache_features(
    model: keras.Model, x: Any, *, batch_size: int = 256
) -> CachedFeatures:
    """Computes once what a task reads of the frozen columns.

    The columns of finished tasks give the same features in every epoch. The
    result holds a model that has those features as inputs, shares its layers
    with the task, so that `cached.model.fit(cached.x, y)` trains the task
    itself, and is compiled like the task, with an optimizer of its own. Where
    data are augmented in every epoch, train the task itself.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> first = keras.Sequential([
    ...     keras.Input((4,)), keras.layers.Dense(16, "relu"),
    ...     keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
    >>> second = netopt.progressive.next_task(first)
    >>> second.compile("adam", "mse")
    >>> x, y = np.random.normal(size=(64, 4)), np.zeros(64)
    >>> cached = netopt.progressive.cache_features(second, x)
    >>> history = cached.model.fit(cached.x, y, verbose=0)
    >>> cached.nbytes, np.allclose(
    ...     cached.model.predict(cached.x, verbose=0),
    ...     second.predict(x, verbose=0), atol=1e-6)
    (6144, True)

    Args:
        model: The last task of a network.
        x: Inputs of the task, as arrays.
        batch_size: Samples per batch in which features are computed, at least
            1. Defaults to `256`.

    Returns:
        An object with `model`, `x` (a list of arrays), `nbytes` and
        `transform(x)`, for validation data.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `model` is not a task, is finished or reads no features,
            or `x` does not fit.
    """
    return CachedFeatures(find_task(model), x, batch_size=batch_size)


def _find_read(model: keras.Model) -> set[int]:
    """Ids of the tensors that layers other than frozen columns read."""
    return {
        id(tensor)
        for call in list_calls(model)
        if not isinstance(call.operation, FrozenColumn)
        for tensor in call.input_tensors
    }
