"""Arms of the comparison on Fashion-MNIST."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.curriculum import data
from keras_netopt.callbacks import SelectiveBackprop
from keras_netopt.curriculum import Arm, SelfPaced, SuperLoss
from keras_netopt.schedules import Constant, Linear

CAP = 0.6


@dataclass(frozen=True)
class ArmTitle:
    """Name of an arm in the tables, and its creation from scores."""

    text: str
    make: Callable[[np.ndarray], Arm]


def ordered(
    name: str, final: float = 1.0, loss: bool = False
) -> Callable[[np.ndarray], Arm]:
    """Makes an arm with linear pacing from 0.2, ending at half of the fit."""

    def make(scores: np.ndarray) -> Arm:
        pacing = Linear(initial=0.2, final=final, begin=0.0, end=0.5)
        options = {"difficulty": scores, "pacing": pacing}
        return Arm(
            name,
            options,
            build_model=_build_with_super_loss(0.25) if loss else None,
        )

    return make


def self_paced(loss: bool = False) -> Callable[[np.ndarray], Arm]:
    """Makes the self-paced arm on the easier part of the samples."""

    def make(scores: np.ndarray) -> Arm:
        options = {"difficulty": "loss", "pacing": Constant(CAP, initial=CAP)}
        build_model = _build_with_super_loss(0.25) if loss else None
        return Arm(SelfPaced("hard"), options, build_model=build_model)

    return make


def plain(lam: float | None = None) -> Callable[[np.ndarray], Arm]:
    """Makes ordinary training, with SuperLoss if `lam` is given."""
    return lambda scores: Arm(
        build_model=_build_with_super_loss(lam) if lam else None
    )


def selective(method: str) -> Callable[[np.ndarray], Arm]:
    """Makes training with backward passes for half of the samples."""
    return lambda scores: Arm(
        callbacks=lambda: [SelectiveBackprop(0.5, method=method)]
    )


def _build_with_super_loss(lam: float) -> Callable[[], object]:
    return lambda: data.build(SuperLoss(data.cross_entropy(), lam=lam))


ARMS = {
    "shuffle": ArmTitle("ordinary training (`shuffle`)", plain()),
    "random": ArmTitle("random order (control)", ordered("random")),
    "easy_first": ArmTitle("`easy_first`", ordered("easy_first")),
    "hard_first": ArmTitle("`hard_first`", ordered("hard_first")),
    "super": ArmTitle("SuperLoss, λ = 1", plain(1.0)),
    "super_quarter": ArmTitle("SuperLoss, λ = 0.25", plain(0.25)),
    "selective": ArmTitle("SelectiveBackprop(0.5)", selective("percentile")),
    "cap": ArmTitle("`easy_first`, ends at 60 %", ordered("easy_first", CAP)),
    "self_paced": ArmTitle("self-paced, 60 %", self_paced()),
    "self_paced_super": ArmTitle(
        "self-paced, 60 %, SuperLoss 0.25", self_paced(loss=True)
    ),
}
# Arms that train on all samples at the end.
DEFAULTS = ("easy_first", "super", "super_quarter", "selective")
