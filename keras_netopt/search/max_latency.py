"""A limit on the measured latency of a model."""

import hashlib
import os
import tempfile
from dataclasses import dataclass, field, fields
from typing import Any

import keras

from keras_netopt import cost
from keras_netopt.checks import check_integer, check_positive
from keras_netopt.search.architecture_hash import hash_architecture
from keras_netopt.search.constraints import Constraint, is_infinite
from keras_netopt.search.measured_costs import MeasuredCosts
from keras_netopt.serialization import export_class


@export_class
@dataclass(frozen=True)
class MaxLatency(Constraint):
    """Limits the measured latency of the model's verified LiteRT file.

    Each candidate is converted, verified and run on one thread of this
    machine, which takes about a second, some more on the JAX and torch
    backends. A result is kept by the hash of the architecture: equal models
    are measured once, also in a search that is resumed. `ratio` limits the
    latency over that of `reference`, measured in the same loop, so that
    other load on the machine cancels; a limit in milliseconds depends on the
    machine and its load.

    Example:

    >>> import keras
    >>> from keras_netopt.search import MaxLatency
    >>> MaxLatency(5.0).name
    'latency_ms'
    >>> base = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> half = MaxLatency(ratio=0.5, reference=base)
    >>> half.name, half.at_most
    ('latency_ratio', 0.5)

    Args:
        at_most: Median milliseconds of a batch of one sample, above 0;
            infinity measures without a limit. Defaults to `None`: `ratio`
            is the limit, and the value of the attribute.
        quantize: As in `export.to_litert`, of candidates and reference:
            `None`, `"dynamic"` or `"float16"`. Defaults to `None`.
        ratio: The latency over that of `reference`, above 0. Defaults to
            `None`: `at_most` is the limit.
        reference: A built Keras model, or the path of a `.tflite` file.
            Required with `ratio`. Defaults to `None`.
        rounds: Calls of each file that are timed, at least 1. Defaults to
            `100`.
        cache: A JSON file for the results. Defaults to `None`: a tuner keeps
            them in the folder of its project, other searches in memory.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, both or neither of
            `at_most` and `ratio` are given, or a file cannot be run.
        FileNotFoundError: If `reference` or the folder of `cache` does not
            exist.
        ExportError: If a candidate cannot be converted.
    """

    at_most: float | None = None  # type: ignore[assignment]
    quantize: str | None = None
    ratio: float | None = None
    reference: Any = None
    rounds: int = 100
    cache: str | os.PathLike[str] | None = None
    # Made by the limit: no arguments, and no part of equality.
    _costs: MeasuredCosts = field(init=False, repr=False, compare=False)
    _reference_bytes: bytes = field(init=False, repr=False, compare=False)

    is_slow = True

    def __post_init__(self) -> None:
        if (self.at_most is None) == (self.ratio is None):
            raise ValueError(
                "Arguments `at_most` (milliseconds) and `ratio` (of the "
                "reference's latency) exclude each other and one must be "
                f"given. Received: at_most={self.at_most}, ratio={self.ratio}"
            )
        if (self.ratio is None) != (self.reference is None):
            raise ValueError(
                "Arguments `ratio` and `reference` must be given together: "
                "`MaxLatency(ratio=0.5, reference=base)`. "
                f"Received: ratio={self.ratio}, reference={self.reference!r}"
            )
        name = "at_most" if self.ratio is None else "ratio"
        if not is_infinite(getattr(self, name)):
            check_positive(getattr(self, name), name)
        self._keep("at_most", getattr(self, name))
        is_name = isinstance(self.quantize, str | None)
        if not is_name or self.quantize not in (None, "dynamic", "float16"):
            raise ValueError(
                "Argument `quantize` must be None, 'dynamic' or 'float16': "
                "other formats need calibration data. "
                f"Received: quantize={self.quantize!r}"
            )
        check_integer(self.rounds, "rounds", minimum=1)
        _check_reference(self.reference)
        if not isinstance(self.cache, str | os.PathLike | None):
            raise TypeError(
                "Argument `cache` must be the path of a file. "
                f"Received: cache={self.cache!r}"
            )
        path = None if self.cache is None else os.fspath(self.cache)
        if path and not os.path.isdir(os.path.dirname(path) or "."):
            raise FileNotFoundError(
                "Argument `cache` must be in a folder that exists. "
                f"Received: cache={path!r}"
            )
        self._keep("_costs", MeasuredCosts(path))
        self._keep("_reference_bytes", b"")

    @property
    def name(self) -> str:  # type: ignore[override]
        """The metric: "latency_ms", or "latency_ratio" of a reference."""
        return "latency_ms" if self.ratio is None else "latency_ratio"

    def keep_costs(self, path: str) -> None:
        """Stores results in a file, unless `cache` names another one."""
        if self.cache is None:
            self._keep("_costs", MeasuredCosts(path))

    def measure(self, model: keras.Model) -> float:
        """Returns the median milliseconds, or their ratio to the reference.

        Args:
            model: A built model.
        """
        architecture = hash_architecture(model)
        if architecture is None:
            return self._measure(model)
        key = ":".join([self.name, str(self.quantize), architecture])
        if self.ratio is not None:
            key += f":{self._identify_reference()}"
        known: float | None = self._costs.find(key)
        if known is None:
            known = self._measure(model)
            self._costs.add(key, known)
        return known

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        names = [one.name for one in fields(self) if one.init]
        config = {name: getattr(self, name) for name in names}
        if isinstance(self.reference, keras.Model):
            config["reference"] = keras.saving.serialize_keras_object(
                self.reference
            )
        if self.ratio is not None:
            del config["at_most"]
        for name in ("reference", "cache"):
            if isinstance(config[name], os.PathLike):
                config[name] = os.fspath(config[name])
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MaxLatency":
        """Builds the limit from its config; the reference has new weights."""
        reference = config.get("reference")
        if isinstance(reference, dict):
            reference = keras.saving.deserialize_keras_object(reference)
        return cls(**{**config, "reference": reference})

    def _measure(self, model: keras.Model) -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.tflite")
            _convert(model, path, self.quantize)
            files = {"model": path}
            if self.ratio is not None:
                files["reference"] = os.path.join(folder, "reference.tflite")
                with open(files["reference"], "wb") as file:
                    file.write(self._read_reference())
            report = cost.measure_latency(files, rounds=self.rounds, warmup=10)
        median = float(report["model"].median)
        if self.ratio is None:
            return median
        return median / float(report["reference"].median)

    def _identify_reference(self) -> str:
        if isinstance(self.reference, keras.Model):
            found = hash_architecture(self.reference)
            if found is not None:
                return found
        content = self._read_reference()
        return hashlib.blake2b(content, digest_size=16).hexdigest()

    def _read_reference(self) -> bytes:
        """Returns the LiteRT file of the reference, converted once."""
        if not self._reference_bytes:
            path, model = self.reference, self.reference
            with tempfile.TemporaryDirectory() as folder:
                if isinstance(model, keras.Model):
                    path = os.path.join(folder, "reference.tflite")
                    _convert(model, path, self.quantize)
                with open(path, "rb") as file:
                    self._keep("_reference_bytes", file.read())
        return self._reference_bytes

    def _keep(self, name: str, value: Any) -> None:
        """Sets a field, although the limit is frozen."""
        object.__setattr__(self, name, value)


def _convert(model: keras.Model, path: str, quantize: str | None) -> None:
    from keras_netopt import export

    report = export.to_litert(model, path, quantize=quantize)
    if report.latency is None:
        raise ValueError(
            "The LiteRT file cannot be run, so its latency is unknown. "
            "Remove `MaxLatency`, or the layers with operations outside "
            "LiteRT."
        )


def _check_reference(reference: Any) -> None:
    if isinstance(reference, keras.Model):
        if not reference.built:
            raise ValueError(
                "Argument `reference` must be a built model: begin it with "
                f"`keras.Input`. Received: {reference.name!r}, not built"
            )
    elif reference is not None:
        if not isinstance(reference, str | os.PathLike):
            raise TypeError(
                "Argument `reference` must be a built Keras model or the path "
                f"of a .tflite file. Received: reference={reference!r}"
            )
        if not os.path.exists(reference):
            raise FileNotFoundError(
                "Argument `reference` must be a file that exists. "
                f"Received: reference={os.fspath(reference)!r}"
            )
