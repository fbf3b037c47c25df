"""Compound scaling as a search space of one dimension."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.checks import check_above, check_at_least, check_integer
from keras_netopt.search.scaling.compound_scale import (
    check_scalable,
    compound_scale,
)
from keras_netopt.search.spaces.options import check_numbers, choose


@dataclass(frozen=True)
class CompoundSpace:
    """A `build(hp)` of one hyperparameter, "phi"; see `spaces.compound`.

    Example:

    >>> from keras_netopt.search import spaces
    >>> space = spaces.compound(spaces.resnet((16, 16, 1), 2), phi=(0, 1))
    >>> space.phi
    (0.0, 1.0)

    Args:
        build: What `search.compound_scale` takes.
        phi: The exponents to choose from.
        options: Arguments of `search.compound_scale`.
    """

    build: Any
    phi: tuple[float, ...]
    options: tuple[tuple[str, Any], ...] = ()

    def __call__(self, hp: Any) -> keras.Model:
        """Returns the model of the exponent in `hp`."""
        phi = choose(hp, "phi", self.phi, self.phi[0])
        return compound_scale(self.build, phi, **dict(self.options))


def compound(
    build: Any,
    *,
    phi: Any = (0, 1, 2, 3, 4),
    alpha: float = 1.2,
    beta: float = 1.1,
    gamma: float = 1.15,
    round_to: int = 8,
    macs_factor: float | None = None,
) -> CompoundSpace:
    """Search space of one dimension: one network in several sizes.

    The hyperparameter "phi" scales depth, width and resolution together.

    Example:

    >>> import keras_tuner
    >>> from keras_netopt.search import spaces
    >>> space = spaces.compound(spaces.resnet((16, 16, 1), 2), phi=(0, 1))
    >>> hp = keras_tuner.HyperParameters()
    >>> model = space(hp)
    >>> hp.values
    {'phi': 0.0}

    Args:
        build: A space of images, whose default network is scaled, or a
            function `build(scale)` of a compiled model, as in
            `search.compound_scale`.
        phi: The exponents to choose from, at least two, each at least 0.
            Defaults to `(0, 1, 2, 3, 4)`.
        alpha: Factor of the depth. Defaults to `1.2`.
        beta: Factor of the width. Defaults to `1.1`.
        gamma: Factor of the resolution. Defaults to `1.15`.
        round_to: Scaled channels are multiples of it. Defaults to `8`.
        macs_factor: As in `search.compound_scale`. Defaults to `None`.

    Returns:
        A function `build(hp)`, a `CompoundSpace`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """
    exponents = check_numbers(phi, "phi")
    if len(exponents) < 2:
        raise ValueError(
            "Argument `phi` must hold at least two exponents. "
            f"Received: phi={phi!r}"
        )
    check_scalable(build)
    for name, value in (("alpha", alpha), ("beta", beta), ("gamma", gamma)):
        check_at_least(value, name, 1.0)
    if macs_factor is not None:
        check_above(macs_factor, "macs_factor", 1.0, "1")
    options = {
        "alpha": alpha,
        "beta": beta,
        "gamma": gamma,
        "round_to": check_integer(round_to, "round_to", minimum=1),
        "macs_factor": macs_factor,
    }
    return CompoundSpace(build, exponents, tuple(options.items()))
