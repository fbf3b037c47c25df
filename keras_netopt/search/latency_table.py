"""A table of the latency of each candidate operation of a supernet."""

import os
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt import cost
from keras_netopt.checks import check_integer
from keras_netopt.graph.check_model import check_model
from keras_netopt.report import Report
from keras_netopt.search.architecture_hash import hash_architecture
from keras_netopt.search.supernet.architecture import (
    check_indices,
    sample_architectures,
)
from keras_netopt.search.supernet.extract import (
    extract_uncompiled,
    searchable_layers,
)
from keras_netopt.search.supernet.plain_config import PlainConfig
from keras_netopt.search.supernet.searchable_layer import find_decisions
from keras_netopt.tables import render

# Sampled networks from which the fixed part is computed.
FOR_FIXED = 4


@dataclass(frozen=True)
class LatencyTable(Report):
    """Milliseconds of each candidate operation, measured alone by LiteRT.

    The latency of a network is the sum of its operations and a fixed part,
    the rest of the network. It costs nothing to look up, and is less exact
    than `MaxLatency`: an operation in a network is fused with others and
    finds its input in the cache. `error` says by how much it was wrong.

    Example:

    >>> table = LatencyTable(
    ...     blocks={"edge": {"skip": 0.0, "conv3": 0.5}},
    ...     fixed=0.25,
    ...     predicted=(0.25, 0.75),
    ...     measured=(0.25, 0.625),
    ... )
    >>> table.predict({"edge": 1}), round(table.error, 3)
    (0.75, 0.1)

    Args:
        blocks: Milliseconds by decision and label of the option, in the order
            of the options.
        fixed: Milliseconds of the rest of the network.
        predicted: Milliseconds of sampled networks by the table.
        measured: Milliseconds of the same networks, measured whole.
    """

    blocks: Mapping[str, Mapping[str, float]]
    fixed: float
    predicted: tuple[float, ...] = ()
    measured: tuple[float, ...] = ()

    @classmethod
    def measure(
        cls,
        model: keras.Model,
        *,
        quantize: str | None = None,
        networks: int = 8,
        rounds: int = 100,
        seed: int = 0,
    ) -> "LatencyTable":
        """Measures every candidate of every `layers.Choice` once.

        Equal candidates with inputs of the same shape are measured once. The
        fixed part is the median over four sampled networks, and the error
        that over others. All files are timed in one loop.

        Args:
            model: A built model with `layers.Choice`, without elastic layers.
            quantize: As in `MaxLatency`. Defaults to `None`.
            networks: Sampled networks that are measured whole for the error,
                at least 1. Defaults to `8`.
            rounds: Calls of each file that are timed, at least 1. Defaults
                to `100`.
            seed: Seed of the sampled networks. Defaults to `0`.

        Returns:
            The table.

        Raises:
            TypeError: If `model` is not a Keras model.
            ValueError: If an argument is out of range, or the model has
                searchable layers other than `Choice`, or none.
            ExportError: If a candidate cannot be converted.
        """
        check_model(model)
        check_integer(networks, "networks", minimum=1)
        check_integer(rounds, "rounds", minimum=1)
        sampled = sample_architectures(model, FOR_FIXED + networks, seed)
        candidates = _candidates(model)
        subjects: dict[str, keras.Model] = {}
        keys: dict[tuple[str, int], list[str]] = {}
        for place, parts in candidates.items():
            for part in parts:
                key = hash_architecture(part) or f"part {len(subjects)}"
                subjects.setdefault(key, part)
                keys.setdefault(place, []).append(key)
        for i, architecture in enumerate(sampled):
            subjects[f"network {i}"] = extract_uncompiled(model, architecture)
        times = _time_files(subjects, quantize, rounds)
        blocks = {
            name: {
                str(label): sum(times[key] for key in keys[name, i])
                for i, label in enumerate(decision.options)
            }
            for name, decision in find_decisions(model).items()
        }
        sums = [cls(blocks, 0.0).predict(one) for one in sampled]
        whole = [times[f"network {i}"] for i in range(len(sampled))]
        rests = [w - s for w, s in zip(whole, sums, strict=True)]
        fixed = statistics.median(rests[:FOR_FIXED])
        return cls(
            blocks,
            fixed,
            tuple(fixed + one for one in sums[FOR_FIXED:]),
            tuple(whole[FOR_FIXED:]),
        )

    def predict(self, architecture: Mapping[str, int]) -> float:
        """Returns the milliseconds of a network.

        Args:
            architecture: Index of the option per decision of the model.

        Raises:
            ValueError: If a decision is missing or unknown, or an index is
                out of range.
        """
        options = {name: list(times) for name, times in self.blocks.items()}
        chosen = check_indices(options, dict(architecture))
        if missing := [name for name in options if name not in chosen]:
            name = missing[0]
            raise ValueError(
                "Argument `architecture` must hold the index of one of the "
                f"options {options[name]} for {name!r}. "
                f"Received: architecture={dict(architecture)}"
            )
        return self.fixed + sum(
            list(times.values())[chosen[name]]
            for name, times in self.blocks.items()
        )

    @property
    def error(self) -> float:
        """Mean of |predicted / measured - 1| over the sampled networks."""
        pairs = zip(self.predicted, self.measured, strict=True)
        errors = [abs(p / m - 1.0) for p, m in pairs]
        return statistics.fmean(errors) if errors else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields and the error, JSON-safe."""
        return {**super().to_dict(), "error": self.error}

    def __str__(self) -> str:
        rows = [
            [name, label, f"{ms:.4f}"]
            for name, options in self.blocks.items()
            for label, ms in options.items()
        ]
        rows.append(["fixed part", "", f"{self.fixed:.4f}"])
        title = (
            f"Latency by operation (mean error {self.error:.1%} on "
            f"{len(self.measured)} whole networks)"
        )
        return render(["decision", "option", "ms"], rows, title=title)


def _candidates(
    model: keras.Model,
) -> dict[tuple[str, int], list[keras.Model]]:
    """Returns models of the candidates by decision and option.

    A decision that several layers share has one for each of them.
    """
    layers, decisions = searchable_layers(model), find_decisions(model)
    others = [
        name
        for name, layer in layers.items()
        if not (layer.is_weights_only or hasattr(layer, "candidates"))
    ]
    if others:
        raise ValueError(
            "Argument `model` must hold no searchable layers other than "
            "`Choice`: the latency of elastic layers is no sum. Measure "
            "networks by `MaxLatency`. "
            f"Received: a model with {others}"
        )
    config = keras.saving.serialize_keras_object(model)
    found: dict[tuple[str, int], list[keras.Model]] = {}
    for i in range(max(len(one.options) for one in decisions.values())):
        chosen = {
            name: min(i, len(decision.options) - 1)
            for name, decision in decisions.items()
        }
        plain = PlainConfig(layers, chosen)
        plain.rewrite(config)
        for name, layer in plain.sources.items():
            decision = plain.links.get(name, name)
            if i < len(decisions[decision].options):
                part = _alone(layers[name], layer)
                found.setdefault((decision, i), []).append(part)
    return found


def _alone(choice: Any, layer: keras.Layer) -> keras.Model:
    """Returns a model of one candidate, with weights of its own."""
    shape = choice.get_build_config()["input_shape"]
    if isinstance(shape[0], list | tuple):  # Beside the shared weights.
        shape = shape[0]
    inputs = keras.Input(batch_shape=shape, dtype=choice.compute_dtype)
    config = keras.saving.serialize_keras_object(layer)
    copy = keras.saving.deserialize_keras_object(config, safe_mode=False)
    return keras.Model(inputs, copy(inputs))


def _time_files(
    models: Mapping[str, keras.Model], quantize: str | None, rounds: int
) -> dict[str, float]:
    """Returns the median milliseconds of each model's file."""
    from keras_netopt import export
    from keras_netopt.export.kept_process import keep_process

    with tempfile.TemporaryDirectory() as folder, keep_process():
        files = {}
        for i, (key, model) in enumerate(models.items()):
            files[key] = os.path.join(folder, f"{i}.tflite")
            export.to_litert(model, files[key], quantize=quantize)
        report = cost.measure_latency(files, rounds=rounds, warmup=10)
    return {one.name: float(one.median) for one in report.latencies}
