"""Measured latency: several models in one loop, so that they compare."""

import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.cost.interpreter import TfliteModel
from keras_netopt.tables import render
from keras_netopt.training.symbolic import input_specs

Subject = str | os.PathLike[str] | Callable[..., Any]


@dataclass(frozen=True)
class Latency:
    """The measured time of one model, in milliseconds.

    Example:

    >>> Latency("dense", median=1.0, minimum=0.9, spread=0.1, rounds=30).median
    1.0

    Args:
        name: The model.
        median: Median over the rounds.
        minimum: Fastest round.
        spread: Distance between the quartiles.
        rounds: Number of timed rounds.
    """

    name: str
    median: float
    minimum: float
    spread: float
    rounds: int


@dataclass(frozen=True)
class LatencyReport:
    """Latencies taken in one loop, which alone are comparable.

    Example:

    >>> fast = Latency("fast", median=1.0, minimum=0.9, spread=0.1, rounds=30)
    >>> slow = Latency("slow", median=2.0, minimum=1.9, spread=0.1, rounds=30)
    >>> LatencyReport((fast, slow))["slow"].median
    2.0

    Args:
        latencies: One entry a model, in the order they were given.
        clock: "thread" for the CPU time of the one thread that LiteRT runs
            on, which other load does not disturb; "wall" otherwise.
    """

    latencies: tuple[Latency, ...]
    clock: str = "wall"

    def __getitem__(self, name: str) -> Latency:
        return {entry.name: entry for entry in self.latencies}[name]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report in types that JSON knows."""
        rows = [dataclasses.asdict(entry) for entry in self.latencies]
        return {"clock": self.clock, "latencies": rows}

    def __str__(self) -> str:
        rows = [
            [e.name, f"{e.median:.3f}", f"{e.minimum:.3f}", f"{e.spread:.3f}"]
            for e in self.latencies
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
    """Times models against each other, interleaved in one loop.

    Each round calls every model once, so that a busy machine slows all of
    them alike; numbers of separate calls are not comparable. LiteRT files run
    on one thread, and where all models are such files the clock is that
    thread's CPU time.

    Example:

    >>> report = measure_latency({"sum": sum}, [1, 2, 3], rounds=3)
    >>> report["sum"].rounds, report["sum"].minimum <= report["sum"].median
    (3, True)

    Args:
        models: A `.tflite` path, a Keras model or any callable; or several,
            as a list or as a dict of names.
        x: The input of all models: what a Keras model takes. Defaults to
            `None`: seeded random input of batch 1, made for each model;
            a plain callable needs `x`.
        rounds: Number of timed rounds, at least 1. Defaults to `30`.
        warmup: Number of rounds before, not timed. Defaults to `5`.

    Returns:
        Median, fastest and spread of the time, a model.

    Raises:
        TypeError: If a model is neither a path nor callable.
        ValueError: If `rounds` or `warmup` is out of range, there is no
            model, or a callable comes without `x`.
        FileNotFoundError: If a path does not exist.
        ImportError: If there is no LiteRT interpreter for a `.tflite` path.
    """
    _check_count("rounds", rounds, 1)
    _check_count("warmup", warmup, 0)
    named = _named(models)
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
        tuple(_latency(name, taken) for name, taken in times.items()),
        clock="thread" if lite else "wall",
    )


def _is_path(model: Any) -> bool:
    return isinstance(model, (str, os.PathLike))


def _check_count(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(
            f"Argument `{name}` must be an int. Received: {name}={value!r}"
        )
    if value < least:
        raise ValueError(
            f"Argument `{name}` must be at least {least}. "
            f"Received: {name}={value!r}"
        )


def _named(models: Any) -> dict[str, Any]:
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

    def draw(spec: Any) -> np.ndarray:
        shape = [axis or 1 for axis in spec.shape]
        return rng.random(shape).astype(spec.dtype)

    data = [keras.tree.map_structure(draw, s) for s in input_specs(model)]
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
