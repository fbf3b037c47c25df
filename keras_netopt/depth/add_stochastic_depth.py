"""Adds stochastic depth to an existing model."""

from typing import Any

import keras

from keras_netopt.checks import check_probability, check_seed
from keras_netopt.depth.linear_rates import linear_rates
from keras_netopt.graph.check_model import check_model
from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.graph.residuals import Residual, find_residuals


def add_stochastic_depth(
    model: keras.Model,
    rate: float = 0.2,
    *,
    mode: str = "batch",
    scale: str | None = "train",
    seed: int | None = None,
) -> keras.Model:
    """Returns a model that drops residual blocks at random during training.

    Every sum `x + branch(x)` of the graph becomes a
    `layers.StochasticDepth`; drop rates grow linearly with depth. The new
    model shares all layers, hence weights, with `model`, which is not
    modified: train the new one, and use or export either. Blocks with a
    projected shortcut and blocks inside nested models are not changed, nor is
    a sum of embeddings, whose second term does not depend on the values of x.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> x = inputs = keras.Input((4,))
    >>> for k in range(2):
    ...     x = keras.layers.Add(name=f"add_{k}")([x, keras.layers.Dense(4)(x)])
    >>> model = keras.Model(inputs, x)
    >>> dropping = netopt.depth.add_stochastic_depth(model, 0.5)
    >>> [(one.name, float(one.rate.value)) for one in dropping.layers[1:]]
    [('add_0_drop', 0.25), ('add_1_drop', 0.5)]

    Args:
        model: A built Functional model, such as a ResNet or ConvNeXt of
            `keras.applications`.
        rate: Drop rate of the last block, a float in [0, 1]. Defaults to
            `0.2`.
        mode: "batch" or "sample", as in `StochasticDepth`. Defaults to
            `"batch"`.
        scale: "train", "inference" or `None`, as in `StochasticDepth`.
            Defaults to `"train"`.
        seed: Random seed, an integer; block k uses `seed + k`. Defaults to
            `None`: a random seed.

    Returns:
        The new model, compiled like `model`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the model is not
            Functional or has no residual block.

    Reference:
        Huang et al., "Deep networks with stochastic depth", 2016,
        https://arxiv.org/abs/1603.09382.
    """
    check_model(model)
    check_probability(rate, "rate")
    check_seed(seed)
    residuals = _find_residuals(model)
    # Layers are imported by the package, not by this module.
    layer_class: Any = keras.saving.get_registered_object(
        "keras_netopt>StochasticDepth"
    )
    drops = {
        id(block.operation): (
            layer_class(
                keras.Model(
                    block.shortcut,
                    block.branch,
                    name=f"{block.operation.name}_block",
                ),
                block_rate,
                mode=mode,
                scale=scale,
                seed=None if seed is None else seed + k,
                name=f"{block.operation.name}_drop",
            ),
            block.position,
        )
        for k, (block, block_rate) in enumerate(
            zip(residuals, linear_rates(len(residuals), rate), strict=True)
        )
    }

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if id(operation) not in drops:
            return operation(*args, **kwargs)
        layer, position = drops[id(operation)]
        return layer(keras.tree.flatten((args, kwargs))[position])

    return keras.models.clone_model(
        model, clone_function=lambda layer: layer, call_function=call
    )


def _find_residuals(model: keras.Model) -> tuple[Residual, ...]:
    is_functional = is_graph_model(model) and not isinstance(
        model, keras.Sequential
    )
    found = find_residuals(model) if is_functional else ()
    if not found:
        raise ValueError(
            "Argument `model` must be a Functional model with at least one "
            "residual sum `x + branch(x)`. "
            f"Received: model=<{type(model).__name__} name={model.name}>"
        )
    return found
