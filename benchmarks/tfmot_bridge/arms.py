"""The arms: one function trains and measures one row."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quantization import files
from benchmarks.tfmot_bridge.starts import SETTING, Starts

CLUSTERS = 16
CALIBRATION = 512
CLUSTER_EPOCHS = 1  # Of the epochs of an arm that clusters first.

Row = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """A row of the table.

    Args:
        title: For the table.
        run: Trains and measures, from the starts and a seed.
        control: The arm that the accuracy is compared with.
    """

    title: str
    run: Callable[[Starts, int], Row]
    control: str


def run_float(starts: Starts, seed: int, *, pruned: bool) -> Row:
    """Trains on in float: the control."""
    import keras

    from keras_netopt.callbacks import Pruning
    from keras_netopt.schedules import Constant

    model = starts.pruned(seed) if pruned else starts.dense(seed)
    first = _kernels(model)
    used = [Pruning(Constant(SETTING.sparsity))] if pruned else []
    starts.fit(model, keras, seed, SETTING.epochs, used)
    return _keras_row(starts, model, first, starts.data[0][0][:CALIBRATION])


def run_own(starts: Starts, seed: int, *, pruned: bool) -> Row:
    """Trains with `Quantization(8, activations=True)`."""
    import keras

    from keras_netopt.callbacks import Pruning, Quantization
    from keras_netopt.schedules import Constant

    model = starts.pruned(seed) if pruned else starts.dense(seed)
    first = _kernels(model)
    used = [Pruning(Constant(SETTING.sparsity))] if pruned else []
    used += [Quantization(8, activations=True)]
    starts.fit(model, keras, seed, SETTING.epochs, used)
    return _keras_row(starts, model, first, None)


def run_quantized(
    starts: Starts,
    seed: int,
    *,
    pruned: bool = False,
    preserve: str | None = None,
    calibrated: bool = True,
) -> Row:
    """Trains with tfmot through the bridge, clustered first if that is kept."""
    import tf_keras

    from keras_netopt import export

    model = starts.pruned(seed) if pruned else starts.dense(seed)
    epochs = SETTING.epochs
    if preserve in ("clusters", "both"):
        clustered = export.tfmot(model).cluster(
            CLUSTERS, preserve_sparsity=pruned
        )
        starts.fit(clustered, tf_keras, seed, CLUSTER_EPOCHS)
        model = clustered.to_keras()
        epochs -= CLUSTER_EPOCHS
    data = starts.data[0][0][:CALIBRATION]
    training = export.tfmot(model).quantize(
        preserve, calibration_data=data if calibrated else None
    )
    starts.fit(training, tf_keras, seed, epochs)
    report = training.report()
    back = training.to_keras()
    trained = training.strip().get_weights()
    return {
        "accuracy": starts.measure(training),
        "zeros": _share(report),
        "lost_zeros": report.lost_zeros,
        "values": _values(report),
        "back_equal": all(
            np.array_equal(one, other)
            for one, other in zip(back.get_weights(), trained, strict=True)
        ),
        "back_accuracy": starts.measure(back),
        "file": _write(starts, training, calibration_data=data),
    }


def _keras_row(starts: Starts, model: Any, first: Any, data: Any) -> Row:
    kernels = _kernels(model)
    pairs = list(zip(first, kernels, strict=True))
    size = sum(kernel.size for kernel in kernels)
    zeros = sum(int(np.sum(kernel == 0)) for kernel in kernels)
    return {
        "accuracy": starts.measure(model),
        "zeros": round(zeros / size, 4),
        "lost_zeros": sum(int(np.sum((a == 0) & (b != 0))) for a, b in pairs),
        "file": files.write_file(model, starts.data[1], "int8", data),
    }


def _kernels(model: Any) -> list[np.ndarray]:
    return [np.array(one) for one in model.get_weights() if one.ndim > 1]


def _write(starts: Starts, training: Any, calibration_data: Any) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        training.to_litert(path, calibration_data=calibration_data)
        x, _ = starts.data[1]
        expected = training.predict(x, batch_size=1000, verbose=0)
        return files.measure(path.read_bytes(), starts.data[1], expected)


def _share(report: Any) -> float:
    rows = report.kernels
    total = sum(row.size for row in rows)
    return round(sum(row.zeros * row.size for row in rows) / total, 4)


def _values(report: Any) -> int:
    """The largest number of values of a kernel that tfmot clusters."""
    return max(
        row.values for row in report.kernels if "depthwise" not in row.weight
    )


ARMS = {
    "float": Arm(
        "float, trained on", partial(run_float, pruned=False), "float"
    ),
    "own": Arm(
        "`Quantization(8, activations=True)`",
        partial(run_own, pruned=False),
        "float",
    ),
    "qat": Arm("QAT", run_quantized, "float"),
    "qat-start": Arm(
        "QAT, ranges from [-6, 6]",
        partial(run_quantized, calibrated=False),
        "float",
    ),
    "cqat": Arm(
        "CQAT, 16 clusters",
        partial(run_quantized, preserve="clusters"),
        "float",
    ),
    "float-80": Arm(
        "80 % zeros, float, trained on",
        partial(run_float, pruned=True),
        "float-80",
    ),
    "own-80": Arm(
        "80 % zeros, `Quantization(8, activations=True)`",
        partial(run_own, pruned=True),
        "float-80",
    ),
    "qat-80": Arm(
        "80 % zeros, QAT", partial(run_quantized, pruned=True), "float-80"
    ),
    "pqat": Arm(
        "80 % zeros, PQAT",
        partial(run_quantized, pruned=True, preserve="sparsity"),
        "float-80",
    ),
    "pcqat": Arm(
        "80 % zeros, PCQAT, 16 clusters",
        partial(run_quantized, pruned=True, preserve="both"),
        "float-80",
    ),
}
