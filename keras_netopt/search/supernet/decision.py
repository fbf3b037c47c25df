"""One open question of a searchable layer, and how it is answered."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from keras import ops

from keras_netopt.checks import check_choice
from keras_netopt.training.counter_random import uniform, uniform_array

MIXTURE, GUMBEL, UNIFORM, FAIR, SANDWICH, FIXED = range(6)
MODES = {
    "mixture": MIXTURE,
    "gumbel": GUMBEL,
    "uniform": UNIFORM,
    "fair": FAIR,
    "sandwich": SANDWICH,
    "fixed": FIXED,
}
Option = str | int | float
# Logits of options that may not be chosen; an infinity would give NaN
# gradients.
_EXCLUDED = -1e9


@dataclass(frozen=True, eq=False)
class Decision:
    """A choice among a few options, held in the weights of a layer.

    `mode` says how it is answered in training: "mixture" (0) and "gumbel" (1)
    use all options with weights, "uniform" (2) samples one, "fair" (3) samples
    each once per K calls in random order, "sandwich" (4) repeats the cycle
    largest, smallest, random, random, and "fixed" (5) takes `active`.
    Inference uses `active` in modes 2 to 5. Samples are a function of `seed`
    and `draws`: a resumed `fit` continues their sequence.

    Args:
        name: Unique in the model: the name of the layer, followed by "/" and
            the axis for a layer with several decisions.
        options: The K options, JSON-safe, in a fixed order; sizes ascend.
        mode: int32 scalar variable.
        active: int32 scalar variable, the position of the fixed option.
        draws: int32 scalar variable, the number of training calls so far.
        enabled: int32 variable of shape `(K,)`, 1 for options that training
            may use and 0 for others. At least one is 1.
        weights: Trainable variable of shape `(K,)`, the logits of the
            options. Defaults to `None`: the options have no weights.
        temperature: float32 scalar variable that divides the logits.
            Defaults to `None`.
        seed: int32 scalar variable, the seed of the samples. Defaults to
            `None`.
        is_shared: Whether other layers may hold the same decision. Defaults
            to `False`.
        others: The same decision in other layers, which each have variables
            of their own. Defaults to none.
    """

    name: str
    options: tuple[Option, ...]
    mode: Any
    active: Any
    draws: Any
    enabled: Any
    weights: Any = None
    temperature: Any = None
    seed: Any = None
    is_shared: bool = False
    others: tuple["Decision", ...] = ()

    def read(self) -> "Decision":
        """Returns the decision with tensors instead of variables.

        A branch of a compiled step uses tensors that are read outside of it.
        """
        names = "mode active draws enabled seed weights temperature".split()
        values = {name: getattr(self, name) for name in names}
        tensors: dict[str, Any] = {
            name: None if value is None else ops.convert_to_tensor(value)
            for name, value in values.items()
        }
        return replace(self, **tensors)

    def set_mode(self, name: str) -> None:
        """Assigns a mode by its name."""
        check_choice(name, "mode", MODES)
        for one in (self, *self.others):
            one.mode.assign(MODES[name])

    def fix(self, index: int) -> None:
        """Uses one option from now on."""
        for one in (self, *self.others):
            one.active.assign(index)
            one.mode.assign(FIXED)

    def enable(self, indices: Iterable[int]) -> None:
        """Allows training to use these options, at least one, and no other."""
        allowed = set(indices)
        values = [int(k in allowed) for k in range(len(self.options))]
        for one in (self, *self.others):
            one.enabled.assign(values)

    def reseed(self, seed: int) -> None:
        """Assigns the seed of the samples."""
        for one in (self, *self.others):
            one.seed.assign(seed)

    def join(self, other: "Decision") -> "Decision":
        """Returns this decision with its counterpart in another layer.

        Their variables have the same values at all times: the methods of the
        result assign to both, and both layers count the same calls.
        """
        if self.options != other.options:
            raise ValueError(
                f"Layers that share the decision {self.name!r} must have the "
                f"same options. Received: {list(self.options)} and "
                f"{list(other.options)}"
            )
        return replace(self, others=(*self.others, other))


def sample_index(
    mode: Any, active: Any, draws: Any, enabled: Any, seed: Any, xp: Any = ops
) -> Any:
    """Returns the option of one training call, an int32 scalar.

    Mixtures, which have no single option, give `active`. `xp` is `numpy` for
    known values, which takes less time than eager tensors, or `keras.ops`.
    """
    cast = getattr(xp, "cast", lambda x, dtype: np.asarray(x).astype(dtype))
    numbers = uniform if xp is ops else uniform_array
    count = enabled.shape[0]
    allowed = cast(enabled, "bool")
    number = xp.maximum(xp.sum(cast(enabled, "int32")), 1)
    is_fair = xp.equal(mode, FAIR)
    # The order of one round is a function of the round.
    step = xp.where(is_fair, xp.floor_divide(draws, number), draws)
    place = xp.where(is_fair, xp.mod(draws, number), 0)
    keys = xp.where(allowed, numbers(seed, step, count), -1.0)
    larger = keys[None, :] > keys[:, None]
    rank = xp.sum(cast(larger, "int32"), axis=1)

    def first(found: Any) -> Any:
        return cast(xp.argmax(cast(found, "int32")), "int32")

    drawn = first(xp.equal(rank, place))
    phase = xp.mod(draws, 4)
    largest = xp.max(xp.where(allowed, xp.arange(count, dtype="int32"), -1))
    sandwich = xp.where(xp.equal(phase, 1), first(allowed), drawn)
    sandwich = xp.where(xp.equal(phase, 0), largest, sandwich)
    is_random = xp.logical_or(xp.equal(mode, UNIFORM), is_fair)
    index = xp.where(is_random, drawn, active)
    return xp.where(xp.equal(mode, SANDWICH), sandwich, index)


def option_weights(decision: Decision, index: Any, training: bool) -> Any:
    """Returns the share of each option, float32 of shape `(K,)`.

    Mixtures give a softmax over the enabled options, in training with Gumbel
    noise in mode "gumbel"; other modes give exactly 1 at `index`.
    """
    logits = ops.cast(decision.weights, "float32")
    if training:
        noise = _gumbel(decision, logits.shape[0])
        is_gumbel = ops.equal(decision.mode, GUMBEL)
        logits = logits + ops.where(is_gumbel, noise, 0.0)
    logits = logits / ops.cast(decision.temperature, "float32")
    logits = ops.where(ops.cast(decision.enabled, "bool"), logits, _EXCLUDED)
    one = ops.one_hot(index, logits.shape[0], dtype="float32")
    return ops.where(is_mixture(decision), ops.softmax(logits), one)


def is_mixture(decision: Decision) -> Any:
    """Whether all options are used, a boolean scalar tensor."""
    return ops.less_equal(decision.mode, GUMBEL)


def _gumbel(decision: Decision, count: int) -> Any:
    """Gumbel noise of one training call; uniform numbers can be 0."""
    numbers = uniform(decision.seed, decision.draws, count)
    numbers = ops.clip(numbers, 1e-7, 1.0 - 1e-7)
    return -ops.log(-ops.log(numbers))
