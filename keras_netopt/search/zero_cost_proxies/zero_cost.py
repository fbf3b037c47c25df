"""Scores a model before any training."""

import time
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.graph.check_model import check_model
from keras_netopt.search.zero_cost_proxies.proxies import (
    NEEDS_LABELS,
    PROXIES,
    ProxyInputs,
)
from keras_netopt.search.zero_cost_proxies.zero_cost_report import (
    ZeroCostReport,
)
from keras_netopt.training.batches import iterate_batches
from keras_netopt.training.randomness import preserve_random_state

ENSEMBLE = ("meco", "flow_depth", "params")
SAMPLES = 32


def zero_cost(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    proxies: Any = ENSEMBLE,
    samples: int = SAMPLES,
) -> ZeroCostReport:
    """Scores an untrained model on one batch, without training.

    The scores predict which of several models of one search space trains to
    the best accuracy: compare them by rank, and several proxies by
    `search.combine_scores`. `search.ZeroCost` does so for a whole search.

    | proxy | what it measures |
    | --- | --- |
    | "synflow" | logarithm of the synaptic flow; no data |
    | "flow_depth" | mean number of weights on a path of the flow; no data |
    | "naswot" | how different the activation codes of the samples are |
    | "swap" | number of distinct activation patterns of the units |
    | "meco" | how independent the channels before each rectifier are |
    | "channel_entropy" | the same before the last one, by their spectrum |
    | "jacob_cov" | how uncorrelated the input gradients of the samples are |
    | "grad_norm" | norm of the gradients of the compiled loss |
    | "snip" | the same gradients, weighted by the kernels |
    | "params" | a control: the number of parameters |
    | "conv_count" | a control: the number of convolutions |
    | "macs" | a control: multiply-accumulates of one sample |

    A higher score predicts a better model. Batch normalization uses the
    statistics of the batch; weights, moving statistics, optimizer and random
    state do not change.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((8,)),
    ...         keras.layers.Dense(4, activation="relu"),
    ...         keras.layers.Dense(2),
    ...     ]
    ... )
    >>> x = np.random.default_rng(0).normal(size=(6, 8)).astype("float32")
    >>> report = netopt.search.zero_cost(model, x, proxies=["params"])
    >>> report["params"]
    46.0

    Args:
        model: A built model, compiled for "grad_norm" and "snip". Any Keras
            model: Functional, Sequential or subclassed.
        x: Inputs: arrays as for `fit`, or an iterable of batches. Random
            numbers of the inputs' shape will do, except for the proxies of
            the loss.
        y: Targets, for "grad_norm" and "snip". Defaults to `None`.
        proxies: Names of the proxies, one or several. Defaults to the
            ensemble `("meco", "flow_depth", "params")`.
        samples: Size of the batch, at least 2: that many samples, evenly
            spaced in arrays, or from the first batch. Defaults to `32`.

    Returns:
        The scores and the milliseconds of each proxy.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the model is not built; if a proxy is unknown, or the
            model or the data lack what it needs: a compiled loss and `y`, a
            rectifier ("naswot", "swap", "meco", "channel_entropy"), float
            inputs of more values than there are samples ("jacob_cov").

    Reference:
        Tanaka et al. 2020, arXiv 2006.05467 (synflow); Mellor et al. 2021,
        arXiv 2006.04647 (naswot, jacob_cov); Jiang et al. 2023, NeurIPS
        (meco); Peng et al. 2024, arXiv 2403.04161 (swap); Lee and Ham 2024,
        CVPR (channel_entropy); Lee et al. 2019, arXiv 1810.02340 (snip);
        Abdelfattah et al. 2021, arXiv 2101.08134.
    """
    check_model(model)
    names = check_proxies(proxies)
    x, y = take_batch(x, y, samples)
    if any(name in NEEDS_LABELS for name in names) and not model.compiled:
        raise ValueError(
            "Argument `model` must be compiled for the proxies 'grad_norm' "
            "and 'snip': call `model.compile(loss=...)`. Received: "
            f"model=<{type(model).__name__} name={model.name}>, not compiled"
        )
    probe = ProxyInputs(model, x, y)
    scores, milliseconds = {}, {}
    with preserve_random_state():
        for name in names:
            begin = time.perf_counter()
            scores[name] = float(PROXIES[name](probe))
            milliseconds[name] = 1000 * (time.perf_counter() - begin)
    count = len(keras.tree.flatten(x)[0])
    return ZeroCostReport(model.name, scores, milliseconds, count)


def check_proxies(proxies: Any) -> tuple[str, ...]:
    """Returns the names of proxies as a tuple."""
    given = [proxies] if isinstance(proxies, str) else proxies
    if not isinstance(given, list | tuple | set | frozenset):
        given = [proxies]
    names = tuple(given)
    if not names or not all(isinstance(n, str) and n in PROXIES for n in names):
        raise ValueError(
            f"Argument `proxies` must name some of {sorted(PROXIES)}. "
            f"Received: proxies={proxies!r}"
        )
    return tuple(dict.fromkeys(names))


def take_batch(x: Any, y: Any, samples: int) -> tuple[Any, Any]:
    """Returns inputs and targets of one batch, floats as float32."""
    check_integer(samples, "samples", minimum=2)
    is_list = isinstance(x, list) and all(hasattr(one, "shape") for one in x)
    data = x if y is None else (x, y)
    if y is None and is_list:
        data = (x,)
    batch = next(iterate_batches(data, batch_size=samples, samples=samples))
    x, y = keras.tree.map_structure(
        lambda array: None if array is None else _cast(array[:samples]),
        batch[:2],
    )
    count = len(keras.tree.flatten(x)[0])
    if count < 2:
        raise ValueError(
            "Argument `x` must hold two samples or more. "
            f"Received: {count} samples"
        )
    return x, y


def _cast(array: Any) -> Any:
    is_float = np.issubdtype(array.dtype, np.floating)
    return array.astype(keras.config.floatx()) if is_float else array
