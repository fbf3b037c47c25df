"""The parts of the loss that a model is compiled with.

Private names of Keras 3.15: `_compile_loss`, `_flat_losses`.
"""

import functools
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_netopt.training.running_means import scale_for_replicas
from keras_netopt.training.sample_loss import select_part


@dataclass(frozen=True)
class CompiledTerm:
    """The compiled loss of one output.

    Args:
        weight: Its factor in the total loss.
        reduction: How it is reduced over the batch.
        from_logits: Whether it is a loss of Keras that reads logits.
    """

    weight: float = 1.0
    reduction: str | None = "sum_over_batch_size"
    from_logits: bool = False


def compiled_terms(model: keras.Model, y_pred: Any) -> list[CompiledTerm]:
    """Returns the term of each flat output, once the loss was computed.

    An output without a compiled loss has the default term.
    """
    flat = keras.tree.flatten(y_pred)
    places = keras.tree.pack_sequence_as(y_pred, list(range(len(flat))))
    terms = [CompiledTerm() for _ in flat]
    any_model: Any = model
    compiled = any_model._compile_loss
    if compiled is None or not compiled.built:
        return terms
    for path, loss, weight, _ in compiled._flat_losses:
        place = select_part(path, places, model)
        if isinstance(place, int):
            terms[place] = CompiledTerm(
                1.0 if weight is None else float(weight),
                getattr(loss, "reduction", "sum_over_batch_size"),
                _reads_logits(loss),
            )
    return terms


def sums_samples(model: keras.Model) -> bool:
    """Whether the compiled loss is a sum over the samples of a batch.

    It is `False` until the loss was computed, and if one of several outputs
    has another reduction.
    """
    any_model: Any = model
    compiled = any_model._compile_loss
    if compiled is None or not compiled.built:
        return False
    found = [
        getattr(loss, "reduction", None)
        for _, loss, _, _ in compiled._flat_losses
    ]
    return bool(found) and all(one == "sum" for one in found)


def _reads_logits(loss: Any) -> bool:
    while hasattr(loss, "base_loss"):  # SuperLoss
        loss = loss.base_loss
    function = getattr(loss, "fn", loss)
    if isinstance(function, functools.partial):
        return bool(function.keywords.get("from_logits", False))
    if not type(loss).__module__.startswith("keras."):
        return bool(getattr(loss, "from_logits", False))
    return bool(loss.get_config().get("from_logits", False))


def added_losses(model: keras.Model) -> Any:
    """Returns the sum of regularizers and losses that layers add.

    It is scaled as Keras scales losses, which it adds up over the replicas. A
    model with a `compute_loss` of its own may not use them; the sum is 0 then.
    """
    module = type(model).compute_loss.__module__
    if not module.startswith(("keras.", "keras_netopt.")):
        return 0.0
    found = [ops.cast(ops.sum(loss), "float32") for loss in model.losses]
    return scale_for_replicas(sum(found[1:], found[0])) if found else 0.0
