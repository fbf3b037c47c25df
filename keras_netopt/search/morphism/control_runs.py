"""The controls of a search: what would have happened without it."""

from collections.abc import Sequence
from dataclasses import dataclass

from keras_netopt.cost.mac_counter import PASSES
from keras_netopt.search.morphism.morphism_trial import MorphismTrial


@dataclass(frozen=True)
class ControlStep:
    """The next training of a control.

    Args:
        role: "random" or "continued".
        control: Number of the control.
        parent: The trial that it inherits from.
        epochs: Epochs to train.
    """

    role: str
    control: int
    parent: MorphismTrial
    epochs: int


def next_step(
    trials: Sequence[MorphismTrial],
    lineage: Sequence[MorphismTrial],
    *,
    controls: int,
    epochs: int,
) -> ControlStep | None:
    """Returns the next training of a control, `None` when all are done.

    Control 0 trains the parent on, with the MACs of the best network's
    lineage in as many trainings; the others mutate at random, without
    selection, as often as the best network and its ancestors were trained.

    Args:
        trials: All finished trials.
        lineage: The best network with its ancestors, the parent first.
        controls: Number of controls with random mutations; without any,
            the parent is not trained on either.
        epochs: Epochs per child.
    """
    steps = len(lineage) - 1
    for number in range(controls + 1 if controls and steps else 0):
        own = [one for one in trials if one.control == number]
        if len(own) >= steps:
            continue
        before = own[-1] if own else lineage[0]
        if before.status != "COMPLETED":
            continue  # Training diverged.
        if number:
            return ControlStep("random", number, before, epochs)
        return ControlStep(
            "continued", number, before, _matched_epochs(lineage, epochs)
        )
    return None


def _matched_epochs(lineage: Sequence[MorphismTrial], epochs: int) -> int:
    """Epochs of the parent per training, for the MACs of the lineage."""
    grown = lineage[1:]
    spent = sum(one.spent for one in grown)
    first = grown[0]
    if not (first.macs and first.epochs and lineage[0].macs and first.spent):
        return epochs
    samples = first.spent / (PASSES * first.macs * first.epochs)
    per_epoch = PASSES * samples * lineage[0].macs
    return max(1, round(spent / per_epoch / len(grown)))
