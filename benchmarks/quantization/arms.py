"""The arms: one function trains one row."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.quantization import files, tfmot_arms
from benchmarks.quantization.starts import Bench

FORMS = {8: "dynamic", 4: "int4", 3: "dynamic", 2: "int2"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """An arm of the comparison: a row of the table.

    Args:
        title: For the tables.
        run: Trains and measures, from the bench and a seed.
        settings: Where it is measured.
    """

    title: str
    run: Callable[[Bench, int], Row]
    settings: tuple[str, ...] = ("mlp", "mlp-90", "mobile")


def run_float(bench: Bench, seed: int) -> Row:
    """Trains on in float: the control for all arms."""
    model, epochs = _trained_float(bench, seed)
    return _row(bench, model, epochs, 8)


def run_rounded(bench: Bench, seed: int, *, bits: int) -> Row:
    """Trains on in float and rounds at the end."""
    from keras_netopt import quantization

    model, _ = _trained_float(bench, seed)
    quantization.quantize(model, bits)
    return _row(bench, model, [_accuracy(bench, model)], bits)


def run_trained(bench: Bench, seed: int, *, bits: int, **options: Any) -> Row:
    """Trains on the grid with `Quantization`, masks kept by `Pruning`."""
    from keras_netopt.callbacks import Quantization

    model = bench.start(seed)
    used = [*_masks(bench), Quantization(bits, **options)]
    epochs = bench.train(model, seed, used)
    return _row(
        bench,
        model,
        epochs,
        bits,
        calibrated=not options.get("activations"),
    )


def run_clusters(bench: Bench, seed: int, *, trained: bool) -> Row:
    """16 shared values per kernel, trained or by k-means at the end."""
    from keras_netopt import quantization
    from keras_netopt.callbacks import Quantization

    if trained:
        model = bench.start(seed)
        used = [*_masks(bench), Quantization(clusters=16)]
        epochs = bench.train(model, seed, used)
    else:
        model, _ = _trained_float(bench, seed)
        quantization.quantize(model, clusters=16)
        epochs = [_accuracy(bench, model)]
    return _row(bench, model, epochs, 8)


def _trained_float(bench: Bench, seed: int) -> tuple[Any, list[float]]:
    model = bench.start(seed)
    return model, bench.train(model, seed, _masks(bench))


def _masks(bench: Bench) -> list[Any]:
    from keras_netopt.callbacks import Pruning
    from keras_netopt.schedules import Constant

    sparsity = bench.setting.sparsity
    return [Pruning(Constant(sparsity))] if sparsity else []


def _accuracy(bench: Bench, model: Any) -> float:
    return round(
        model.evaluate(
            *bench.data[1], batch_size=1000, verbose=0, return_dict=True
        )["accuracy"],
        4,
    )


def _row(
    bench: Bench,
    model: Any,
    epochs: list[float],
    bits: int,
    *,
    calibrated: bool = True,
) -> Row:
    form, data = FORMS[bits], None
    if bench.setting.network == "mobile" and bits == 8:
        form = "int8"
        data = bench.data[0][0][: files.CALIBRATION] if calibrated else None
    kernels = [np.asarray(v) for v in model.get_weights() if v.ndim > 1]
    return {
        "accuracy": epochs[-1],
        "epoch_accuracy": epochs,
        "zeros": round(_zero_share(kernels), 4),
        "form": form,
        "file": files.write_file(model, bench.data[1], form, data),
    }


def _zero_share(kernels: list[np.ndarray]) -> float:
    kept = sum(int(np.count_nonzero(kernel)) for kernel in kernels)
    return 1 - kept / sum(kernel.size for kernel in kernels)


ARMS = {
    "float": Arm("float, trained on", run_float),
    **{
        f"rounded-{bits}": Arm(
            f"rounded to {bits} bits", partial(run_rounded, bits=bits)
        )
        for bits in (8, 4, 3, 2)
    },
    **{
        f"trained-{bits}": Arm(
            f"`Quantization({bits})`", partial(run_trained, bits=bits)
        )
        for bits in (8, 4, 3, 2)
    },
    "ranges-8": Arm(
        "`Quantization(8, activations=True)`",
        partial(run_trained, bits=8, activations=True),
        ("mobile",),
    ),
    "ranges-4": Arm(
        "`Quantization(4, activations=True)`",
        partial(run_trained, bits=4, activations=True),
        ("mobile",),
    ),
    "rounded-16": Arm(
        "16 clusters, k-means after training",
        partial(run_clusters, trained=False),
    ),
    "trained-16": Arm(
        "`Quantization(clusters=16)`", partial(run_clusters, trained=True)
    ),
    "tfmot-qat": Arm(
        "tfmot QAT, 8 bits", tfmot_arms.run_qat, ("mlp", "mobile")
    ),
    "tfmot-pqat": Arm("tfmot PQAT, 8 bits", tfmot_arms.run_pqat, ("mlp-90",)),
    "tfmot-pcqat": Arm(
        "tfmot PCQAT, 16 clusters", tfmot_arms.run_pcqat, ("mlp-90",)
    ),
}
