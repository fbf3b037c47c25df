"""Rounds of training, pruning and rewinding of one model."""

import zlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.sparsity.control_masks import shuffle_units
from keras_netopt.sparsity.mask_session import MaskSession
from keras_netopt.sparsity.pruner import Pruner
from keras_netopt.sparsity.scores import Custom
from keras_netopt.sparsity.selection import WeightTarget
from keras_netopt.sparsity.ticket_report import TicketRound
from keras_netopt.training.checkpoint_state import Arrays
from keras_netopt.training.float_weights import float_weights
from keras_netopt.training.initial_values import (
    assign_initial_values,
    check_initial_values,
)
from keras_netopt.training.training_snapshot import (
    TrainingSnapshot,
    check_optimizers,
    reset_optimizers,
)

CONTROLS = ("reinit", "shuffle_mask")


class TicketSession(MaskSession):
    """Prunes a model and rewinds it, round after round.

    Round 0 is dense, or has the masks that the model had before; the session
    holds the rewind point as a `TrainingSnapshot` until the last round begins.

    Args:
        model: A compiled, built model.
        targets: The weights to prune.
        pruner: Score and allocation.
        rounds: Number of times that weights are pruned.
        rate: Share of the remaining weights that each of them removes.
        data: Calibration data, for scores that need them.
        control: "reinit", "shuffle_mask" or `None`: what the last round is.
        is_late: Whether the rewind point lies after the first step.
        is_search: Whether a search begins, not a `fit` after it.
        seed: Seed of the control arms.

    Raises:
        ValueError: If the model does not allow the control arm, or a search
            begins with a score or data that give no masks.
    """

    def __init__(
        self,
        model: keras.Model,
        targets: tuple[WeightTarget, ...],
        pruner: Pruner,
        *,
        rounds: int,
        rate: float,
        data: Any = None,
        control: str | None = None,
        is_late: bool = False,
        is_search: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(model, targets, pruner)
        self.rounds: list[TicketRound] = []
        self.round = 0
        self.done = False
        self.snapshot: TrainingSnapshot | None = None
        self._density = 1.0
        self._finite = True
        self._count = rounds
        self._rate = rate
        self._data = data
        self._control = control
        self._is_late = is_late
        self._seed = seed
        if control == "reinit":
            check_initial_values(model)
            check_optimizers(model)
        score = pruner.score
        if is_search and (score.needs or isinstance(score, Custom)):
            self.try_masks(self._sparsity(rounds), data)
        self.attach()

    @property
    def is_last(self) -> bool:
        """Whether the last round has begun."""
        return self.round == self._count

    @property
    def needs_snapshot(self) -> bool:
        """Whether the rewind point has not been passed yet."""
        return self.snapshot is None and not self.is_last and not self.done

    def take_snapshot(self) -> None:
        """Keeps the current state as the rewind point."""
        self.snapshot = TrainingSnapshot.take(self.model)

    def begin(self) -> None:
        """Begins round 0, with the masks that the model has."""
        self.count_masked()
        self._density = 1.0 - self.share
        self.store.project()

    def continue_with(self, other: "TicketSession") -> None:
        """Takes over the position of the last, interrupted `fit` call."""
        self.load_state(*other.save_state())

    def advance(self, step: int) -> bool:
        """Checks that a step has applied the masks.

        Returns `False` after the first step of a round whose masks are those
        of the last one, because weights were not finite.
        """
        self.verify(step)
        finite, self._finite = self._finite, True
        return finite

    def begin_round(self, number: int) -> None:
        """Prunes the trained weights, and rewinds everything else."""
        control = self._control if number == self._count else None
        masks = self._find_masks(number)
        if control == "shuffle_mask":
            pattern = self._pruner.pattern
            masks = {
                t.key: shuffle_units(
                    masks[t.key], t.view, pattern, self._generator(t.key)
                )
                for t in self.targets
            }
        if self.snapshot is not None:
            self.snapshot.restore(self.model)
        if control == "reinit":
            assign_initial_values(self.model, self._seed)
            if self._is_late:
                reset_optimizers(self.model)
        self.set_masks([masks[key] for key in self.keys])
        self.count_masked()
        self.round = number
        if self.is_last:
            self.snapshot = None

    def end_round(self, logs: Mapping[str, Any]) -> None:
        """Adds the round that has ended to `rounds`."""
        self.rounds.append(self.describe_round(logs))
        self.done = self.is_last

    def describe_round(self, logs: Mapping[str, Any]) -> TicketRound:
        """Returns the current round with the metrics of its last epoch."""
        return TicketRound(
            number=self.round,
            sparsity=self.share,
            kept=self.weights - self.zeros,
            weights=self.weights,
            metrics={
                name: float(value)
                for name, value in logs.items()
                if np.ndim(value) == 0
            },
            control=self._control if self.is_last else None,
        )

    def save_state(
        self, ended: TicketRound | None = None
    ) -> tuple[dict[str, Any], Arrays]:
        """Returns the position as JSON-safe values, and the snapshot.

        `ended` is the current round, if it has ended and is not listed yet.
        """
        rounds = self.rounds if ended is None else [*self.rounds, ended]
        values = {
            "round": self.round,
            "done": self.done or (ended is not None and self.is_last),
            "density": self._density,
            "rounds": [one.to_dict() for one in rounds],
            "rewinds": self.snapshot is not None,
        }
        return values, {} if self.snapshot is None else self.snapshot.arrays

    def load_state(self, values: dict[str, Any], arrays: Arrays) -> None:
        """Loads what `save_state` returned; the masks are loaded already."""
        self.round, self.done = values["round"], values["done"]
        self._density = values["density"]
        self.rounds = [TicketRound(**one) for one in values["rounds"]]
        self.snapshot = TrainingSnapshot(arrays) if values["rewinds"] else None
        self.count_masked()
        self.store.project()

    def _find_masks(self, number: int) -> dict[str, np.ndarray]:
        with float_weights(self.model):
            weights = self.store.view_weights(self.keys)
            self._finite = all(np.isfinite(weight).all() for weight in weights)
            if not self._finite:
                return self.store.masks(self.keys)
            found = self._pruner.find_masks(
                self.model,
                self.targets,
                weights,
                self._sparsity(number),
                self._data,
                self.store.view_masks(self.keys),
                update=number,
                final=self._sparsity(self._count),
            )
            return dict(zip(self.keys, found, strict=True))

    def _sparsity(self, number: int) -> float:
        return 1.0 - self._density * (1.0 - self._rate) ** number

    def _generator(self, key: str) -> np.random.Generator:
        return np.random.default_rng([self._seed, zlib.crc32(key.encode())])
