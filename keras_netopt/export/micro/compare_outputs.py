"""The outputs of TFLite Micro against those of LiteRT."""

from collections.abc import Mapping

import numpy as np

from keras_netopt.export.micro.file_graph import FileGraph
from keras_netopt.export.micro.micro_program import LITERT, MICRO
from keras_netopt.export.micro.micro_run import RunDifference


def compare_outputs(
    file: FileGraph, stored: Mapping[str, np.ndarray], calls: int
) -> tuple[RunDifference, ...]:
    """Compares the outputs that `micro_program` stored."""
    graph = file.graphs[0]
    found = []
    for name, tensor in file.outputs.items():
        k = graph.outputs.index(tensor)
        info = graph.tensors[tensor].info(name)
        sides = [
            np.stack(
                [
                    info.decode(stored[f"{runtime} {call} {k}"]).ravel()
                    for call in range(calls)
                ]
            ).astype("float64")
            for runtime in (MICRO, LITERT)
        ]
        gap = _measure_gap(*sides)
        size = np.abs(sides[1][np.isfinite(sides[1])]).max(initial=0.0)
        found.append(
            RunDifference(
                name,
                gap,
                gap / float(size) if size else gap,
                find_quantum(file, tensor),
            )
        )
    return tuple(found)


def _measure_gap(one: np.ndarray, two: np.ndarray) -> float:
    """The largest difference; infinite where only one side is finite."""
    if one.shape != two.shape:
        return float("inf")
    equal = (one == two) | (np.isnan(one) & np.isnan(two))
    with np.errstate(invalid="ignore"):
        gaps: np.ndarray = np.where(equal, 0.0, np.abs(one - two))
    return float(np.where(np.isnan(gaps), np.inf, gaps).max(initial=0.0))


def find_quantum(file: FileGraph, tensor: int) -> float | None:
    """Returns the step of an output: its scale, or that of its integers.

    An output of floats that are dequantized from integers has their scale.
    """
    graph = file.graphs[0]
    info = graph.tensors[tensor].info("")
    if info.scale:
        return info.scale
    for operator in graph.operators:
        if tensor in operator.outputs and operator.name == "DEQUANTIZE":
            source = graph.read(operator, 0)
            if source is not None and not source.is_constant:
                return source.info("").scale or None
    return None
