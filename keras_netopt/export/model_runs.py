"""Runs a model on samples, and again to see what is random in it."""

import itertools
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import keras
import numpy as np

from keras_netopt.export.export_error import ExportError
from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.export.input_samples import (
    Arrays,
    Samples,
    iterate_batches,
    pack_inputs,
)

REPEATED = 3  # Batches that are run a second time.
OUTPUT_BYTES = 2**28  # Batches whose outputs exceed this are not run.
ROUNDING = 1e-5  # Relative to the largest output; parallel sums may differ.


class ModelRuns:
    """The outputs of a model on each batch of samples.

    The first batches are run twice, because a file can only be compared with
    a model as far as the model agrees with itself. The variables that a call
    changes, such as the state of a random seed, have their values from before
    when the context ends.

    Args:
        exportable: The model.
        samples: Its inputs.

    Raises:
        ExportError: If the model does not run or computes NaN.
    """

    def __init__(self, exportable: ExportableModel, samples: Samples) -> None:
        self._exportable, self._samples = exportable, samples
        variables = exportable.model.non_trainable_variables
        self._state = [(one, _value(one)) for one in variables]
        try:
            self.expected = self._run(None)
            self.noise = self._measure_noise(REPEATED)
        except BaseException:
            self.rewind()
            raise
        self.rewind()

    def __enter__(self) -> "ModelRuns":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.rewind()

    @property
    def randomness(self) -> float:
        """The largest difference of an output from run to run."""
        return max(self.noise.values())

    def repeat_all(self) -> bool:
        """Runs all batches again; returns whether that changes the noise."""
        before = self.noise
        self.noise = self._measure_noise(None)
        self.rewind()
        return self.noise != before

    def rewind(self, *, seeds: bool = True) -> None:
        """Sets the variables that calls changed; `seeds`: random states too."""
        for variable, value in self._state:
            is_seed = variable.name == "seed_generator_state"
            if (seeds or not is_seed) and not np.array_equal(
                _value(variable), value
            ):
                variable.assign(value)

    def _run(self, batches: int | None) -> list[Arrays]:
        rows = iterate_batches(self._exportable, self._samples)
        chosen = itertools.islice(rows, batches)
        found, total = [], 0
        # The outputs of a segmentation may be larger than the memory.
        while total < OUTPUT_BYTES and (batch := next(chosen, None)):
            found += run_model(self._exportable, [batch])
            total += sum(array.nbytes for array in found[-1].values())
        return found

    def _measure_noise(self, batches: int | None) -> dict[str, float]:
        self.rewind(seeds=False)
        noise = dict.fromkeys(self.expected[0], 0.0)
        # A model may return another number of values each time.
        again = self._run(batches)
        for one, two in zip(self.expected, again, strict=False):
            for name in noise:
                gap = measure_gap(one[name], two[name])
                scale = np.abs(one[name]).max(initial=1.0)
                if gap > ROUNDING * scale:
                    noise[name] = max(noise[name], gap)
        return noise


def measure_gap(one: np.ndarray, two: np.ndarray) -> float:
    """Returns the largest difference of the finite values of two arrays."""
    if one.shape != two.shape:
        return float("inf")
    finite = np.isfinite(one) & np.isfinite(two)
    gap = np.abs(one[finite].astype("float64") - two[finite].astype("float64"))
    return float(gap.max(initial=0.0))


def run_model(
    exportable: ExportableModel, batches: Iterable[Arrays]
) -> list[Arrays]:
    """Runs the Keras model on each batch.

    Returns one dict per batch, by the names of the outputs in the signature.
    Raises ExportError if the model itself computes NaN.
    """
    results = []
    for batch in batches:
        outputs = _call(exportable, batch)
        named = outputs
        if not isinstance(outputs, dict):
            flat = keras.tree.flatten(outputs)
            named = {f"output_{k}": value for k, value in enumerate(flat)}
        arrays = {
            name: keras.ops.convert_to_numpy(value)
            for name, value in named.items()
        }
        for name, array in arrays.items():
            if np.isnan(array).any():
                raise ExportError(_nan_message(exportable.model, name))
        results.append(arrays)
    return results


def _call(exportable: ExportableModel, batch: Arrays) -> Any:
    try:
        return exportable.model(*pack_inputs(exportable, batch), training=False)
    # The model's own code may raise anything.
    except Exception as error:
        shapes = {name: array.shape for name, array in batch.items()}
        raise ExportError(
            f"The model does not run on inputs of shape {shapes}: {error} "
            "Pass `calibration_data` or an `input_signature` that fits."
        ) from error


def _nan_message(model: Any, name: str) -> str:
    broken = [
        v.path
        for v in model.weights
        if np.isnan(v.numpy().astype("float64")).any()
    ]
    where = (
        f"its weights hold NaN: {', '.join(broken[:5])}"
        if broken
        else "its weights are finite, so check the range of its inputs"
    )
    return (
        f"The model itself computes NaN in output {name!r}; {where}. "
        "Nothing was exported."
    )


def _value(variable: keras.Variable) -> np.ndarray:
    """Copies a value; `np.array` of TensorFlow's values warns with NumPy 2."""
    value = variable.value
    if keras.backend.backend() != "tensorflow":
        value = keras.ops.convert_to_numpy(value)
    return np.asarray(value).copy()
