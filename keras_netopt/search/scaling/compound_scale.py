"""Compound scaling of a network (EfficientNet)."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_netopt import cost
from keras_netopt.checks import (
    check_above,
    check_at_least,
    check_at_least_zero,
    takes_one_argument,
)
from keras_netopt.search.scaling.compound_scale_factors import CompoundScale

Build = Callable[[CompoundScale], keras.Model]
# Corrections of the resolution, the smallest first, and the error of the
# MACs that needs no larger one.
CORRECTIONS = sorted(np.linspace(-0.12, 0.12, 17), key=abs)
CLOSE = 0.03
HALVINGS = 8


def compound_scale(
    build: Any,
    phi: float,
    *,
    alpha: float = 1.2,
    beta: float = 1.1,
    gamma: float = 1.15,
    round_to: int = 8,
    macs_factor: float | None = None,
) -> keras.Model:
    """Builds a network with scaled depth, width and resolution.

    The factors are alpha**phi for the number of blocks, beta**phi for the
    channels and gamma**phi for the height and width of the image, so that
    MACs grow about as (alpha * beta**2 * gamma**2)**phi = 1.92**phi. Whole
    numbers of blocks, channels and pixels make small networks deviate;
    `macs_factor=2.0` corrects it.

    Example:

    >>> from keras_netopt import search
    >>> space = search.spaces.resnet((32, 32, 1), 10, blocks=1, width=16)
    >>> model = search.compound_scale(space, 1)
    >>> model.get_layer("resolution").output.shape
    (None, 37, 37, 1)

    Args:
        build: A space `search.spaces.resnet`, `mobilenet` or
            `nas_bench_201`, whose default network is scaled, or a function
            `build(scale)` that returns a model and calls
            `scale.channels(64)`, `scale.repeats(2)` and `scale.size(224)`
            for its sizes.
        phi: Exponent, at least 0; 0 builds the network as it is.
        alpha: Factor of the depth, at least 1. Defaults to `1.2`.
        beta: Factor of the width, at least 1. Defaults to `1.1`.
        gamma: Factor of the resolution, at least 1. Defaults to `1.15`.
        round_to: Scaled channels are multiples of it, and never less than
            90 % of the exact number. Defaults to `8`.
        macs_factor: If given, above 1: MACs of the model in relation to
            those of `phi=0` are `macs_factor**phi`, as nearly as whole
            numbers allow: the exponent of all three factors is adjusted
            first, then the resolution alone by up to 12 %. Builds up to 50
            models. Defaults to `None`: no correction.

    Returns:
        The model; a space compiles it. Images keep their size: a space
        resizes them in the model (layer "resolution").

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or `macs_factor` is given
            and all factors are 1.

    Reference:
        Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional
        Neural Networks", 2019, https://arxiv.org/abs/1905.11946.
    """
    build = check_scalable(build)
    check_at_least_zero(phi, "phi")
    coefficients = {"alpha": alpha, "beta": beta, "gamma": gamma}
    for name, value in coefficients.items():
        check_at_least(value, name, 1.0)
    scale = functools.partial(_power, alpha, beta, gamma, round_to)
    if macs_factor is None or phi == 0:
        return build(scale(phi))
    check_above(macs_factor, "macs_factor", 1.0, "1")
    if max(coefficients.values()) == 1.0:
        raise ValueError(
            "Arguments `alpha`, `beta` and `gamma` must not all be 1 if "
            f"`macs_factor` is given. Received: {coefficients}"
        )
    return build(_match_macs(build, scale, phi, macs_factor))


def check_scalable(build: Any) -> Build:
    """Returns a function of a `CompoundScale`."""
    # A `Space`, whose package imports this module.
    scaled: Build | None = getattr(build, "scaled", None)
    if scaled is not None:
        return scaled
    if not takes_one_argument(build):
        raise TypeError(
            "Argument `build` must be a space of `search.spaces` or a "
            f"function of one argument, `scale`. Received: build={build!r}"
        )
    found: Build = build
    return found


def _power(
    alpha: float, beta: float, gamma: float, round_to: int, phi: float
) -> CompoundScale:
    return CompoundScale(alpha**phi, beta**phi, gamma**phi, round_to)


def _match_macs(
    build: Build,
    scale: Callable[[float], CompoundScale],
    phi: float,
    macs_factor: float,
) -> CompoundScale:
    """Returns the scale whose MACs are nearest to macs_factor**phi."""
    meter = _MacsMeter(build)
    target = meter(scale(0.0)) * macs_factor**phi
    low, high = 0.0, 2.0 * phi + 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if meter(scale(middle)) < target:
            low = middle
        else:
            high = middle
    best, least = scale(high), math.inf
    for correction in CORRECTIONS:
        for base in (scale(low), scale(high)):
            resolution = max(1.0, base.resolution * (1 + correction))
            if base.resolution == 1.0:
                resolution = 1.0
            one = dataclasses.replace(
                base, resolution=float(resolution), asked=set()
            )
            error = abs(math.log(meter(one) / target))
            if error < least:
                best, least = one, error
        if least < CLOSE:
            break
    return best


class _MacsMeter:
    """Counts the MACs of scaled networks, each size once."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self.asked: set[tuple[str, int]] = set()
        self.known: dict[tuple[int, ...], int] = {}

    def __call__(self, scale: CompoundScale) -> int:
        key = self._sizes(scale)
        if not self.asked or key not in self.known:
            model = self.build(scale)
            self.asked |= scale.asked
            key = self._sizes(scale)
            self.known[key] = cost.summarize(model).macs
        return self.known[key]

    def _sizes(self, scale: CompoundScale) -> tuple[int, ...]:
        return tuple(
            getattr(scale, name)(size) for name, size in sorted(self.asked)
        )
