"""Sequences of fits of the package's callbacks, from one trained network."""

from dataclasses import dataclass
from typing import Any

from benchmarks.edge.starts import Bench

SCORED = 1024  # Samples for the score of channels.


@dataclass(frozen=True)
class Stage:
    """One fit.

    Args:
        epochs: How long it trains.
        channels: Share of `resource` that channel pruning removes.
        resource: "macs", "params" or "bytes". Defaults to `"macs"`.
        first: Whether the first convolution is cut, too, and widths are
            multiples of 8 instead of 4.
        at_once: Whether all channels are removed before the first step, not
            in four cuts.
        zeros: Share of zeros at the end.
        bits: Bits of the grid of kernels.
        begin: Share of the fit from which kernels are on the grid.
        ranges: Whether activations get trained int8 ranges.
        distilled: Whether the start teaches.
        rate: Factor of the setting's learning rate.
    """

    epochs: int
    channels: float = 0.0
    resource: str = "macs"
    first: bool = False
    at_once: bool = False
    zeros: float = 0.0
    bits: int | None = None
    begin: float = 0.0
    ranges: bool = False
    distilled: bool = False
    rate: float = 1.0


def run_stage(
    bench: Bench, model: Any, seed: int, stage: Stage, *, ramp: bool = True
) -> None:
    """Trains a model through one stage, in place.

    Args:
        bench: Data and starting points.
        model: The model.
        seed: Seed of the arm.
        stage: What to do.
        ramp: Whether zeros grow in this stage, or are there and stay.
    """
    bench.train(
        model,
        seed,
        stage.epochs,
        _callbacks(bench, seed, stage, ramp=ramp),
        rate=stage.rate,
    )


def run_stages(bench: Bench, seed: int, stages: tuple[Stage, ...]) -> Any:
    """Returns the start of a seed after all stages."""
    model, zeros = bench.start(seed), 0.0
    for stage in stages:
        run_stage(bench, model, seed, stage, ramp=stage.zeros != zeros)
        zeros = stage.zeros
    return model


def _callbacks(
    bench: Bench, seed: int, stage: Stage, *, ramp: bool
) -> list[Any]:
    import keras

    from keras_netopt import callbacks, schedules

    used: list[Any] = []
    if stage.channels:
        x, y = bench.train_data
        kinds = keras.layers
        used.append(
            callbacks.ChannelPruning(
                schedules.Constant(stage.channels)
                if stage.at_once
                else stage.channels,
                resource=stage.resource,
                score="taylor",
                calibration_data=(x[:SCORED], y[:SCORED]),
                round_to=8 if stage.first else 4,
                include=[kinds.Conv2D, kinds.Dense] if stage.first else None,
                seed=seed,
            )
        )
    if stage.zeros:
        goal = stage.zeros if ramp else schedules.Constant(stage.zeros)
        used.append(callbacks.Pruning(goal))
    if stage.bits:
        used.append(
            callbacks.Quantization(
                stage.bits,
                begin=stage.begin,
                activations=stage.begin + 0.25 if stage.ranges else False,
            )
        )
    if stage.distilled:
        used.append(callbacks.Distillation(bench.start(seed)))
    return used
