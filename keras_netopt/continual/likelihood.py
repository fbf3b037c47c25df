"""What the outputs of a model say about targets, as a probability model."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.distillation.output_pairs import ModelOutput, list_outputs
from keras_netopt.distillation.teacher_loss import KINDS
from keras_netopt.graph.model_graph import mask_of

NAMES = ("auto", *KINDS)


@dataclass(frozen=True)
class Likelihood:
    """The distribution of the targets of one output.

    "softmax" is one class along the last axis, "sigmoid" independent yes and
    no, "mse" a normal distribution of variance 1 around the output.

    Args:
        kind: "softmax", "sigmoid" or "mse".
        from_logits: Whether the output is logits, not probabilities.
    """

    kind: str
    from_logits: bool

    def sample(self, outputs: Any, rng: np.random.Generator) -> np.ndarray:
        """Draws targets; classes are encoded one-hot.

        Example:

        >>> rng = np.random.default_rng(0)
        >>> Likelihood("softmax", False).sample(np.array([[0.0, 1.0]]), rng)
        array([[0., 1.]], dtype=float32)
        """
        outputs = np.asarray(outputs, "float64")
        if self.kind == "mse":
            return np.asarray(rng.normal(outputs), "float32")
        if self.kind == "sigmoid":
            if self.from_logits:
                outputs = 1.0 / (1.0 + np.exp(-outputs))
            return (rng.random(outputs.shape) < outputs).astype("float32")
        if self.from_logits:
            outputs = np.exp(outputs - outputs.max(-1, keepdims=True))
        sums = np.cumsum(outputs, -1)
        drawn = rng.random((*outputs.shape[:-1], 1)) * sums[..., -1:]
        classes = (drawn >= sums).sum(-1)
        return np.eye(outputs.shape[-1], dtype="float32")[classes]

    def surprise(self, outputs: Any, targets: Any) -> Any:
        """Returns the negative log-likelihood, summed over all axes.

        Masked positions, such as padding, do not count.
        """
        mask = mask_of(outputs)
        outputs = ops.cast(outputs, "float32")
        if self.kind == "mse":
            values = 0.5 * ops.square(outputs - targets)
        elif self.kind == "sigmoid":
            yes, no = self._log_probabilities(outputs)
            values = -targets * yes - (1.0 - targets) * no
        else:
            logs = (
                ops.log_softmax(outputs, axis=-1)
                if self.from_logits
                else _log(outputs)
            )
            values = -targets * logs
        if mask is not None:
            while len(mask.shape) < len(values.shape):
                mask = ops.expand_dims(mask, -1)
            values = values * ops.cast(mask, values.dtype)
        return ops.sum(values)

    def _log_probabilities(self, outputs: Any) -> tuple[Any, Any]:
        if self.from_logits:
            return ops.log_sigmoid(outputs), ops.log_sigmoid(-outputs)
        return _log(outputs), _log(1.0 - outputs)


def find_likelihoods(
    model: keras.Model, loss: str, from_logits: bool | None
) -> list[Likelihood]:
    """Returns the likelihood of each output, in flat order.

    Args:
        model: The model.
        loss: "softmax", "sigmoid" or "mse" for all outputs; "auto" reads them
            from the last activations and the compiled losses.
        from_logits: Whether outputs are logits; `None` reads it likewise.

    Raises:
        ValueError: If it is not clear what an output holds.
    """
    return [_describe(one, loss, from_logits) for one in list_outputs(model)]


def _describe(
    output: ModelOutput, loss: str, from_logits: bool | None
) -> Likelihood:
    kind = output.form.own_kind if loss == "auto" else loss
    if kind is None:
        raise ValueError(
            "Argument `loss` must tell what the targets of output "
            f"{output.name!r} are: 'softmax' (one class), 'sigmoid' (yes or "
            "no) or 'mse' (numbers), because neither its last activation nor "
            "a compiled loss does. Received: loss='auto', last activation "
            f"{output.form.activation!r}"
        )
    flag = output.form.are_logits() if from_logits is None else from_logits
    if kind != "mse" and flag is None:
        raise ValueError(
            "Argument `from_logits` must tell whether output "
            f"{output.name!r} is logits (`True`) or probabilities (`False`): "
            f"its last activation is {output.form.activation!r}, and its "
            f"compiled loss has from_logits={output.form.from_logits}. "
            "Received: from_logits=None"
        )
    shape = output.shape
    if kind == "softmax" and shape is not None and shape[-1] == 1:
        raise ValueError(
            "Argument `loss` must be 'sigmoid' or 'mse' for an output of one "
            "unit: a softmax needs at least two classes. Received: "
            f"loss={loss!r}, output {output.name!r} of shape {shape}"
        )
    return Likelihood(kind, bool(flag))


def _log(probabilities: Any) -> Any:
    return ops.log(ops.clip(probabilities, keras.config.epsilon(), 1.0))
