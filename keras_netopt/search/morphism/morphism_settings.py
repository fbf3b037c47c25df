"""The settings of a morphism search."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.checks import check_bool, check_choice, check_integer
from keras_netopt.graph.check_model import check_model
from keras_netopt.search.morphism.choose_parent import STRATEGIES
from keras_netopt.search.morphism.morphism_objective import MorphismObjective


@dataclass(frozen=True, eq=False)
class MorphismSettings:
    """Checked arguments of `search.Morphism`; see there."""

    parent: keras.Model
    objective: MorphismObjective
    max_trials: int
    strategy: str
    population_size: int
    sample_size: int
    neighbors: int
    parent_epochs: int | None
    controls: int
    inherit_weights: bool
    seed: int

    def __post_init__(self) -> None:
        if not isinstance(self.parent, keras.Model):
            raise TypeError(
                "Argument `parent` must be a compiled Keras model. "
                f"Received: parent={self.parent!r}"
            )
        check_model(self.parent, "parent")
        optimizer = getattr(self.parent, "optimizer", None)
        if not getattr(self.parent, "compiled", False) or optimizer is None:
            raise ValueError(
                "Argument `parent` must be compiled: call "
                "`parent.compile(...)` first; children are compiled with the "
                "same arguments. "
                f"Received: parent={self.parent.name!r}, not compiled"
            )
        check_choice(self.strategy, "strategy", STRATEGIES)
        for name in ("max_trials", "population_size", "sample_size"):
            check_integer(getattr(self, name), name, minimum=1)
        check_integer(self.neighbors, "neighbors", minimum=1)
        if self.sample_size > self.population_size:
            raise ValueError(
                "Argument `sample_size` must be at most `population_size`. "
                f"Received: sample_size={self.sample_size}, "
                f"population_size={self.population_size}"
            )
        if self.parent_epochs is not None:
            check_integer(self.parent_epochs, "parent_epochs")
        check_integer(self.controls, "controls")
        check_bool(self.inherit_weights, "inherit_weights")
        check_integer(self.seed, "seed")

    def identity(self) -> dict[str, Any]:
        """Returns the arguments that a resumed search must repeat."""
        return {
            "objective": self.objective.name,
            "mode": "max" if self.objective.sign > 0 else "min",
            "strategy": self.strategy,
            "inherit_weights": self.inherit_weights,
            "seed": self.seed,
        }

    def check_arguments(self, arguments: Mapping[str, Any]) -> None:
        """Raises ValueError if `search` gets no data for the objective."""
        self.objective.check(arguments, None)
        is_evaluated = arguments.get("validation_data") is not None
        if self.parent_epochs == 0 and not (
            is_evaluated and self.objective.is_validated
        ):
            raise ValueError(
                "Argument `parent_epochs` must be above 0 unless the "
                "objective is measured on `validation_data`: with 0 the "
                "parent is only evaluated. Received: "
                f"parent_epochs=0, objective={self.objective.name!r}"
            )
