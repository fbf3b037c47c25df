"""Measures the latency of several models in one interleaved loop."""

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.graph.symbolic import input_specs
from keras_netopt.report import Report
from keras_netopt.tables import render

Subject = str | os.PathLike[str] | Callable[..., Any]


@dataclass(frozen=True)
class Latency(Report):
    """The measured time of one model, in milliseconds.

    Example:

    >>> Latency("dense", median=1.0, minimum=0.9, spread=0.1, rounds=30).median
    1.0

    Args:
        name: The name of the model.
        median: Median over the rounds.
        minimum: Time of the fastest round.
        spread: Interquartile range.
        rounds: Number of timed rounds.
    """

    name: str
    median: float
    minimum: float
    spread: float
    rounds: int


@dataclass(frozen=True)
class LatencyReport(Report):
    """Latencies measured in one loop, hence comparable.

    Example:

    >>> fast = Latency("fast", median=1.0, minimum=0.9, spread=0.1, rounds=30)
    >>> slow = Latency("slow", median=2.0, minimum=1.9, spread=0.1, rounds=30)
    >>> LatencyReport((fast, slow))["slow"].median
    2.0

    Args:
        latencies: One per model, in the order of the argument.
        clock: "thread" for the CPU time of LiteRT's single thread, which
            does not depend on other load; "wall" otherwise.
    """

    latencies: tuple[Latency, ...]
    clock: str = "wall"

    def __getitem__(self, name: str) -> Latency:
        return {latency.name: latency for latency in self.latencies}[name]

    def __str__(self) -> str:
        rows = [
            [x.name, f"{x.median:.3f}", f"{x.minimum:.3f}", f"{x.spread:.3f}"]
            for x in self.latencies
        ]
        headers = ["model", "median ms", "min ms", "spread ms"]
        return render(headers, rows, title=f"Latency ({self.clock} clock)")


def measure_latency(
    models: Subject | Sequence[Subject] | Mapping[str, Subject],
    x: Any = None,
    *,
    rounds: int = 30,
    warmup: int = 5,
) -> LatencyReport:
    """Measures the latency of models, interleaved in one loop.

    Each round calls every model once, so that other load slows all of them
    equally; results of separate calls are not comparable. LiteRT files run
    on one thread; if all models are LiteRT files, the clock is the CPU time
    of that thread.

    Example:

    >>> report = measure_latency({"sum": sum}, [1, 2, 3], rounds=3)
    >>> report["sum"].rounds, report["sum"].minimum <= report["sum"].median
    (3, True)

    Args:
        models: A `.tflite` path, a Keras model or any callable; or a list
            or dict (by name) of them.
        x: The input of all models, as for `model.predict_on_batch`. Defaults
            to `None`: seeded random input of batch 1, generated for each
            model; a plain callable requires `x`.
        rounds: Number of timed rounds, at least 1. Defaults to `30`.
        warmup: Number of untimed rounds before, at least 0. Defaults to `5`.

    Returns:
        Median, minimum and spread per model, in milliseconds.

    Raises:
        TypeError: If a model is neither a path nor callable, or `rounds` or
            `warmup` is not an integer.
        ValueError: If `rounds` or `warmup` is out of range, there is no
            model, or a callable is passed without `x`.
        FileNotFoundError: If a path does not exist.
        ImportError: If a `.tflite` path requires a LiteRT interpreter and
            none is installed.
    """
    check_integer(rounds, "rounds", minimum=1)
    check_integer(warmup, "warmup")
    named = _models_by_name(models)
    runs = {name: _runner(model, x) for name, model in named.items()}
    lite = all(_is_path(model) for model in named.values())
    now = time.thread_time if lite else time.perf_counter
    for _ in range(warmup):
        for run in runs.values():
            run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = now()
            run()
            times[name].append(1e3 * (now() - start))
    return LatencyReport(
        tuple(_latency(name, series) for name, series in times.items()),
        clock="thread" if lite else "wall",
    )


def _is_path(model: Any) -> bool:
    return isinstance(model, (str, os.PathLike))


def _models_by_name(models: Any) -> dict[str, Any]:
    if isinstance(models, Mapping):
        named = dict(models)
    else:
        several = isinstance(models, Sequence) and not isinstance(models, str)
        named = {}
        for model in models if several else [models]:
            name = _name(model)
            count = sum(1 for n in named if n.split("#")[0] == name)
            named[f"{name}#{count + 1}" if count else name] = model
    if not named:
        raise ValueError(
            f"Argument `models` must hold a model. Received: models={models!r}"
        )
    return named


def _name(model: Any) -> str:
    if _is_path(model):
        return os.path.basename(os.fspath(model))
    name = getattr(model, "name", None) or getattr(model, "__name__", None)
    return str(name or type(model).__name__)


def _runner(model: Any, x: Any) -> Callable[[], Any]:
    if _is_path(model):
        lite = TfliteModel(os.fspath(model))
        feeds = lite.random_feeds(0) if x is None else lite.feeds(x)
        return lite.prepare(feeds)
    if isinstance(model, keras.Model):
        data = _random_input(model) if x is None else x
        return lambda: model.predict_on_batch(data)
    if not callable(model):
        raise TypeError(
            "Argument `models` must hold paths, Keras models or callables. "
            f"Received: models={model!r}"
        )
    if x is None:
        raise ValueError(
            "Argument `x` must be given for a plain callable. Received: x=None"
        )
    return lambda: model(x)


def _random_input(model: keras.Model) -> Any:
    rng = np.random.default_rng(0)

    def sample(spec: Any) -> np.ndarray:
        shape = [axis or 1 for axis in spec.shape]
        return rng.random(shape).astype(spec.dtype)

    data = [keras.tree.map_structure(sample, s) for s in input_specs(model)]
    return data[0]


def _latency(name: str, times: list[float]) -> Latency:
    low, high = (float(np.quantile(times, q)) for q in (0.25, 0.75))
    return Latency(
        name=name,
        median=statistics.median(times),
        minimum=min(times),
        spread=high - low,
        rounds=len(times),
    )
