"""The arms of the comparison on Fashion-MNIST."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.curriculum import data
from keras_netopt.callbacks import SelectiveBackprop
from keras_netopt.curriculum import Arm, SelfPaced, SuperLoss
from keras_netopt.schedules import Constant, Linear

CAP = 0.6


@dataclass(frozen=True)
class Title:
    """An arm as the tables call it, and how it is made from scores."""

    text: str
    make: Callable[[np.ndarray], Arm]
    drops: bool = False


def ordered(
    name: str, final: float = 1.0, loss: bool = False
) -> Callable[[np.ndarray], Arm]:
    """Makes an arm with a straight pacing from 0.2 at half of the fit."""

    def make(scores: np.ndarray) -> Arm:
        pacing = Linear(initial=0.2, final=final, begin=0.0, end=0.5)
        options = {"difficulty": scores, "pacing": pacing}
        return Arm(name, options, build=_robust(0.25) if loss else None)

    return make


def self_paced(loss: bool = False) -> Callable[[np.ndarray], Arm]:
    """Makes the arm that trains on the easier part of all samples."""

    def make(scores: np.ndarray) -> Arm:
        options = {"difficulty": "loss", "pacing": Constant(CAP, initial=CAP)}
        build = _robust(0.25) if loss else None
        return Arm(SelfPaced("hard"), options, build=build)

    return make


def plain(lam: float | None = None) -> Callable[[np.ndarray], Arm]:
    """Makes ordinary training, with SuperLoss where `lam` is given."""
    return lambda scores: Arm(build=_robust(lam) if lam else None)


def selective(method: str) -> Callable[[np.ndarray], Arm]:
    """Makes ordinary training with half of the samples going backward."""
    return lambda scores: Arm(
        callbacks=lambda: [SelectiveBackprop(0.5, select=method)]
    )


def _robust(lam: float) -> Callable[[], object]:
    return lambda: data.build(SuperLoss(data.cross_entropy(), lam=lam))


ARMS = {
    "shuffle": Title("ordinary training (`shuffle`)", plain()),
    "random": Title("random order (control)", ordered("random")),
    "easy_first": Title("`easy_first`", ordered("easy_first")),
    "hard_first": Title("`hard_first`", ordered("hard_first")),
    "super": Title("SuperLoss, λ = 1", plain(1.0)),
    "super_quarter": Title("SuperLoss, λ = 0.25", plain(0.25)),
    "selective": Title("SelectiveBackprop(0.5)", selective("percentile")),
    "cap": Title(
        "`easy_first`, ends at 60 %", ordered("easy_first", CAP), drops=True
    ),
    "self_paced": Title("self-paced, 60 %", self_paced(), drops=True),
    "self_paced_super": Title(
        "self-paced, 60 %, SuperLoss 0.25", self_paced(loss=True), drops=True
    ),
}
# The arms that a user gets without asking for samples to be dropped.
DEFAULTS = ("easy_first", "super", "super_quarter", "selective")
