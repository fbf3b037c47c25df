"""One-shot quantization of a model, without training."""

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.quantization.quantization_report import (
    QuantizationReport,
    make_report,
)
from keras_netopt.quantization.selection import check_finite, select_kernels
from keras_netopt.quantization.settings import QuantizationSettings
from keras_netopt.selectors import Selector
from keras_netopt.training import NoEffectWarning
from keras_netopt.training.backend import commit_variables, sync_variables
from keras_netopt.training.master_store import MasterStore


def quantize(
    model: keras.Model,
    bits: int = 8,
    *,
    grid: str = "auto",
    clusters: int | None = None,
    include: Selector | None = None,
    exclude: Selector | None = None,
) -> QuantizationReport:
    """Rounds the kernels of a model to a grid, in place.

    Use it to see what a number of bits costs without training, or where 8
    bits are enough. Training moves the kernels off the grid again;
    `callbacks.Quantization` keeps them on it, with the same arguments.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    >>> model.set_weights([np.array([[0.4], [-0.6], [3.0]]), np.zeros(1)])
    >>> quantize(model, bits=3, grid="max").rows[0].bits
    3
    >>> model.get_weights()[0].ravel()
    array([ 0., -1.,  3.], dtype=float32)

    Args:
        model: A built model; changed in place.
        bits: Bits per weight: 8, 4, 3 or 2. Defaults to `8`.
        grid: How the scale of a channel is chosen: "max", "mse", "twn" (2
            bits) or "auto": "max" for 8 and 4 bits, "mse" for 3, "twn" for 2.
            Defaults to `"auto"`.
        clusters: Number of shared values per kernel in [2, 256], instead of a
            grid. Defaults to `None`.
        include: Weights to quantize: a regular expression searched in the
            weight's path, "first", "last", a layer, a layer class, a
            `callable(layer) -> bool`, or a list of those. Defaults to `None`:
            every kernel and embedding.
        exclude: Weights not to quantize, in the same form. Defaults to `None`.

    Returns:
        The report: the grid of each kernel, or why it stays float.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the model is not built,
            kernels are not finite, or a selected layer has LoRA weights or
            was quantized by Keras. The model is unchanged then.
    """
    settings = QuantizationSettings.create(bits, grid, clusters)
    selection = select_kernels(
        model, include, exclude, bits=bits, clusters=clusters
    )
    sync_variables(model)
    check_finite(selection)
    if not selection.targets:
        warnings.warn(
            f"`quantize` selected no kernel of model `{model.name}`. Name "
            "weights in `include`; `quantization.report(model)` lists them.",
            NoEffectWarning,
            stacklevel=2,
        )
    _drop_masters(model, [target.key for target in selection.targets])
    for target in selection.targets:
        quantizer: Any = settings.make_quantizer(target)
        kernel = ops.convert_to_tensor(target.variable)
        levels = quantizer.create_levels(np.array(ops.convert_to_numpy(kernel)))
        target.variable.assign(quantizer.quantize(kernel, levels))
    commit_variables(model)
    return make_report(model, {s.key: s.reason for s in selection.skipped})


def _drop_masters(model: keras.Model, keys: list[str]) -> None:
    store = MasterStore.of(model)
    if store is not None:
        store.detach([key for key in keys if key in store.keys])
