"""Refuses a head that does not fit the compiled loss."""

from typing import Any

import keras

from keras_netopt.distillation.last_activation import find_activations
from keras_netopt.distillation.output_form import describe_output, find_losses
from keras_netopt.training.override_method import override_method


def check_loss_at_compile(model: keras.Model) -> None:
    """Makes `compile` of a task check its loss against its head."""
    compile_model = model.compile

    def checked_compile(*args: Any, **kwargs: Any) -> None:
        compile_model(*args, **kwargs)
        check_loss(model)

    override_method(model, "compile", checked_compile)


def check_loss(model: Any) -> None:
    """Raises if an output of a compiled model cannot fit its loss.

    Keras trains such models without an error, to a wrong result: logits as
    probabilities, a softmax over one unit.
    """
    names = model.output_names
    losses = find_losses(model, names)
    activations = find_activations(model)
    for name, loss, activation, output in zip(
        names,
        losses,
        activations,
        keras.tree.flatten(model.outputs),
        strict=False,
    ):
        if loss is None or not isinstance(output.shape[-1], int):
            continue
        form = describe_output(activation, loss)
        problem = _find_problem(form, output.shape[-1])
        if problem:
            raise ValueError(
                f"Argument `head` must fit the loss: {problem}. Received: "
                f"loss={loss!r} for output {name!r} of shape "
                f"{tuple(output.shape)} with activation {activation!r} in "
                f"task {model.name!r}."
            )


def _find_problem(form: Any, units: int) -> str | None:
    if form.kind == "softmax" and units == 1:
        return (
            "a categorical crossentropy needs one unit per class, at least "
            "two; use BinaryCrossentropy for one unit"
        )
    if form.kind not in ("softmax", "sigmoid"):
        return None
    if form.from_logits and form.activation in ("softmax", "sigmoid"):
        return (
            f"the head ends in {form.activation}, so that the loss must have "
            "from_logits=False"
        )
    if form.from_logits is False and form.activation == "linear":
        return (
            "the head has no activation and returns logits, so that the loss "
            "must have from_logits=True"
        )
    return None
