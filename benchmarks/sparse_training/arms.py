"""The arms of the comparison: how each gets its sparse network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.sparse_training.nets import CLASSES, FREQUENCIES, Arrays
from keras_netopt import callbacks

SPARSITIES = (0.8, 0.9, 0.95, 0.98)
SAMPLES_PER_CLASS = 25

Make = Callable[[str, float, int, Any], Any]


@dataclass(frozen=True)
class Arm:
    """One line of the comparison.

    Args:
        title: Its name in tables.
        make: Function of network, sparsity, seed and calibration data that
            returns the callback; `None` for a dense network.
        step: Arms with the same word share a compiled training step.
    """

    title: str
    make: Make | None = None
    step: str = "masks"


def draw_samples(data: Arrays, seed: int) -> Arrays:
    """Returns 25 samples of each class, for scores that need data."""
    rng = np.random.default_rng(seed)
    chosen = [
        rng.choice(np.flatnonzero(data[1] == label), SAMPLES_PER_CLASS, False)
        for label in range(CLASSES)
    ]
    order = rng.permutation(np.concatenate(chosen))
    return data[0][order], data[1][order]


def _prune(**options: Any) -> Make:
    """Gradual pruning by the default schedule."""
    return lambda kind, sparsity, seed, data: callbacks.Pruning(
        sparsity, seed=seed, **options
    )


def _train(**options: Any) -> Make:
    """Constant sparsity, masks that move."""
    return lambda kind, sparsity, seed, data: callbacks.SparseTraining(
        sparsity, seed=seed, frequency=FREQUENCIES[kind], **options
    )


def _initial(score: str, control: str | None = None) -> Make:
    """Masks found at initialisation that stay."""

    def make(kind: str, sparsity: float, seed: int, data: Arrays) -> Any:
        needed = {} if score == "synflow" else {"calibration_data": data}
        return callbacks.SparseTraining(
            sparsity,
            regrow=None,
            score=score,
            allocation="global",
            min_kept=1,
            control=control,
            seed=seed,
            **needed,
        )

    return make


ARMS = {
    "dense": Arm("dense", step="plain"),
    "small": Arm("small dense net, as many weights", step="plain"),
    "uniform": Arm("magnitude, gradual, uniform", _prune(allocation="uniform")),
    "erk": Arm("magnitude, gradual, ERK", _prune(allocation="erk")),
    "global": Arm(
        "magnitude, gradual, global", _prune(allocation="global", min_kept=1)
    ),
    "rigl": Arm("RigL", _train(regrow="gradient"), step="gradients"),
    "set": Arm("SET", _train(regrow="random")),
    "static": Arm("static random mask", _train(regrow=None)),
    "random": Arm(
        "random, gradual, ERK", _prune(score="random", allocation="erk")
    ),
    "snip": Arm("SNIP", _initial("snip")),
    "snip_shuffled": Arm("SNIP, shuffled", _initial("snip", "shuffle_mask")),
    "grasp": Arm("GraSP", _initial("grasp")),
    "grasp_shuffled": Arm("GraSP, shuffled", _initial("grasp", "shuffle_mask")),
    "synflow": Arm("SynFlow", _initial("synflow")),
    "synflow_shuffled": Arm(
        "SynFlow, shuffled", _initial("synflow", "shuffle_mask")
    ),
}
