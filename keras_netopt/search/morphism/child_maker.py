"""Makes the child of a trial: a mutation that meets the constraints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.search.constraints import Constraint
from keras_netopt.search.cost_check import CostCheck, check_model
from keras_netopt.search.morphism.child_files import ChildFiles
from keras_netopt.search.morphism.morphism_trial import MorphismTrial
from keras_netopt.search.morphism.mutation import Mutation
from keras_netopt.search.morphism.mutation_space import MutationSpace
from keras_netopt.search.morphism.no_mutation_error import NoMutationError

ATTEMPTS = 100  # Mutations to try for one child.
DRAFT = "draft.keras"


@dataclass(frozen=True)
class NewChild:
    """A child that has not been trained."""

    model: keras.Model
    mutations: tuple[Mutation, ...]
    costs: dict[str, float]


class ChildMaker:
    """Draws mutations until one can be made and meets the constraints.

    Args:
        files: The files of the search.
        space: The mutations.
        constraints: Limits that each child must meet.
        count: Mutations per child.
        inherit: Whether children keep the weights of their parent.
    """

    def __init__(
        self,
        files: ChildFiles,
        space: MutationSpace,
        constraints: Sequence[Constraint],
        count: int,
        inherit: bool,
    ) -> None:
        self._files = files
        self._space = space
        self._constraints = tuple(constraints)
        self._count = count
        self._inherit = inherit

    def check(self, model: keras.Model) -> CostCheck:
        """Compares the costs of a model with the limits."""
        return check_model(model, self._constraints)

    def make(
        self, parent: MorphismTrial, *, is_mutated: bool, seed: int, data: Any
    ) -> NewChild:
        """Returns a child of a finished trial.

        Args:
            parent: The trial whose file is loaded.
            is_mutated: Whether the child is changed at all.
            seed: Seed of the mutations and of new weights.
            data: Inputs, for statistics of new channels.

        Raises:
            NoMutationError: If no mutation can be made within the
                constraints.
        """
        keras.utils.set_random_seed(seed)
        rng = np.random.default_rng(seed)
        name, costs = parent.file, dict(parent.costs)
        done: list[Mutation] = []
        model = None
        for step in range(self._count if is_mutated else 0):
            if step:
                self._files.save(model, DRAFT)
                name = DRAFT
            model, mutation, costs = self._mutate(name, rng, seed + step, data)
            done.append(mutation)
        if model is None:
            model = self._files.load(name)
        if not self._inherit:
            self._files.save(model, DRAFT)
            keras.utils.set_random_seed(seed)
            model = self._files.load(DRAFT, inherit=False)
        return NewChild(model, tuple(done), costs)

    def _mutate(
        self, name: str, rng: np.random.Generator, seed: int, data: Any
    ) -> tuple[keras.Model, Mutation, dict[str, float]]:
        """Makes the first drawn mutation that is possible."""
        nearest: tuple[tuple[int, float], str] | None = None
        reasons: dict[str, int] = {}
        fresh: keras.Model | None = self._files.load(name)
        draws = self._space.draw(fresh, rng)
        for mutation, _ in zip(draws, range(ATTEMPTS), strict=False):
            try:
                model = self._apply(name, fresh, mutation, seed, data)
            except ValueError as error:  # The model is unchanged.
                reasons[str(error)] = reasons.get(str(error), 0) + 1
                continue
            check = self.check(model)
            if check.is_feasible:
                return model, mutation, dict(check.costs)
            fresh = None
            if nearest is None or check.distance < nearest[0]:
                nearest = check.distance, f"{mutation} ({show(check)})"
        raise NoMutationError(_explain(nearest, reasons, self._constraints))

    def _apply(
        self,
        name: str,
        fresh: keras.Model | None,
        mutation: Mutation,
        seed: int,
        data: Any,
    ) -> keras.Model:
        """Makes a mutation of the model of a file, which may be loaded."""
        options = {"seed": seed, "data": data}
        if mutation.operation == "remove_block":
            return self._files.load(
                name,
                rebuild=lambda one: self._space.apply(one, mutation, **options),
            )
        model = self._files.load(name) if fresh is None else fresh
        self._space.apply(model, mutation, **options)
        return model


def show(check: CostCheck) -> str:
    """Returns the measured costs in a line."""
    return ", ".join(f"{k}={v:g}" for k, v in check.costs.items())


def _explain(
    nearest: tuple[tuple[int, float], str] | None,
    reasons: dict[str, int],
    constraints: Sequence[Constraint],
) -> str:
    if nearest is not None:
        limits = ", ".join(f"{c.name} <= {c.at_most:g}" for c in constraints)
        return (
            "No mutation meets the constraints. The nearest child is: "
            f"{nearest[1]}. Raise a limit, or allow more `operations` or "
            f"smaller `factors`. Received: constraints={limits}"
        )
    why = "; ".join(reasons) or "the model has no layer that may change"
    return f"No mutation of the model is possible: {why}"
