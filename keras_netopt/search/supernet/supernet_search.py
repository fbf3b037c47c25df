"""A supernet seen as a space of architectures with costs."""

import functools
import math
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import walk_layers
from keras_netopt.search.constraints import Constraint, MaxBytes
from keras_netopt.search.supernet.architecture import architecture_labels
from keras_netopt.search.supernet.architecture_limits import (
    AdditiveCost,
    ArchitectureLimits,
)
from keras_netopt.search.supernet.architecture_report import (
    ArchitectureReport,
)
from keras_netopt.search.supernet.candidates import NONE
from keras_netopt.search.supernet.cost import (
    affordable_draws,
    architecture_macs,
    architecture_params,
    supernet_macs,
)
from keras_netopt.search.supernet.decision import GUMBEL, Decision
from keras_netopt.search.supernet.extract import (
    extract,
    extract_uncompiled,
)
from keras_netopt.search.supernet.path_evolution import PathEvolution
from keras_netopt.search.supernet.random_controls import (
    match_cost,
    rank_correlation,
)
from keras_netopt.search.supernet.search_arguments import check_compilation
from keras_netopt.search.supernet.searchable_layer import find_decisions
from keras_netopt.search.supernet.subnet_ranker import (
    FINALISTS,
    SubnetRanker,
)
from keras_netopt.training.backend import commit_variables, sync_variables

Architecture = dict[str, int]
CONTROLS = 8
RANDOM = 24  # Random architectures for the rank correlation.


class SupernetSearch:
    """The decisions of a model, their costs, and a search over them.

    Args:
        model: A built model with searchable layers.
        constraints: Upper limits on costs of an architecture.
        seed: Random seed of what is drawn.

    Raises:
        ValueError: If the model has no searchable layer, or no architecture
            keeps the limits.
    """

    def __init__(
        self,
        model: keras.Model,
        constraints: Iterable[Constraint] = (),
        seed: int = 0,
    ) -> None:
        check_compilation(model)
        self.model = model
        self.decisions: dict[str, Decision] = find_decisions(model)
        self.seed = seed
        every = {n: range(len(d.options)) for n, d in self.decisions.items()}
        self.macs = functools.partial(architecture_macs, model)
        self.additive = AdditiveCost.measure(every, self.macs)
        measures: dict[str, Callable[[Any], float]] = {
            one.name: functools.partial(_measure, model, one)
            for one in constraints
        }
        measures["macs"] = self.macs
        measures["params"] = functools.partial(architecture_params, model)
        self.limits = ArchitectureLimits(
            constraints, self.options(with_none=True), measures
        )
        self.limits.check_possible()

    @property
    def space(self) -> int:
        """Number of architectures that the enabled options form."""
        options = self.options(with_none=True)
        return math.prod(len(one) for one in options.values())

    def set_modes(self, mode: str) -> None:
        """Sets how training uses the options, and the seeds of samples."""
        sync_variables(self.model)
        for name, decision in self.decisions.items():
            decision.set_mode(mode)
            if decision.seed is not None:
                number = zlib.crc32(f"{self.seed}/{name}".encode()) % 2**31
                decision.reseed(number)
        commit_variables(self.model)

    def shares(self) -> dict[str, np.ndarray]:
        """Returns the share of each option in training, by decision."""
        sync_variables(self.model)
        found = {}
        for name, decision in self.decisions.items():
            allowed = _read(decision.enabled) > 0
            logits = np.zeros(len(allowed))
            is_mixture = int(_read(decision.mode)) <= GUMBEL
            if decision.weights is not None and is_mixture:
                logits = _read(decision.weights).astype("float64")
                logits = logits / float(_read(decision.temperature))
            raised = np.exp(logits - logits[allowed].max()) * allowed
            found[name] = raised / raised.sum()
        return found

    def logs(self) -> dict[str, float]:
        """Returns how far the search has decided, and the expected cost."""
        shares = self.shares()
        entropies = [
            -sum(p * math.log(p) for p in share if p > 0)
            for share in shares.values()
        ]
        return {
            "architecture_entropy": float(np.mean(entropies)),
            "architecture_share": float(
                np.mean([share.max() for share in shares.values()])
            ),
            "expected_macs": self.additive.expected(shares),
        }

    def weightless(self) -> dict[str, tuple[bool, ...]]:
        """Returns by decision which options are layers without weights."""
        layers = list(walk_layers(self.model))
        choices = [one for one in layers if hasattr(one, "candidates")]
        found = {}
        for name, decision in self.decisions.items():
            own = [one for one in choices if one.name == name]
            count = len(decision.options)
            # Choices that share the weights of an `ArchitectureWeights`.
            held = own or [
                one
                for one in choices
                if one.decision is None and len(one.candidates) == count
            ]
            found[name] = tuple(
                bool(held)
                and not any(one.candidates[k].weights for one in held)
                for k in range(count)
            )
        return found

    def options(self, *, with_none: bool) -> dict[str, list[int]]:
        """Returns the enabled options of each decision, as their indices."""
        sync_variables(self.model)
        return enabled_options(self.decisions, with_none=with_none)

    def evolve(self, ranker: SubnetRanker, evaluations: int) -> PathEvolution:
        """Searches the best architecture within the limits."""
        evolution = PathEvolution(
            self.options(with_none=True),
            ranker.scores,
            self.limits.refuse,
            evaluations,
            self.seed,
            self.limits.starts(),
        )
        evolution.run()
        ranker.end_progress()
        if ranker.has_finals:
            evolution.score_finalists(ranker.final_scores, FINALISTS)
        return evolution

    def compare(
        self, found: Architecture, ranker: SubnetRanker, *, with_none: bool
    ) -> tuple[float, list[float], float]:
        """Evaluates an architecture beside random ones.

        Returns:
            Its metric, the metrics of random ones of equal MACs, and the rank
            correlation of metric and parameters over random ones.
        """
        options = self.options(with_none=with_none)
        controls = match_cost(
            options,
            found,
            self.macs,
            CONTROLS,
            seed=self.seed,
            draws=affordable_draws(self.model),
        )
        rng = np.random.default_rng(self.seed + 1)
        drawn = [
            {name: int(rng.choice(one)) for name, one in options.items()}
            for _ in range(RANDOM)
        ]
        value, *values = ranker.values([found, *controls, *drawn])
        params = [architecture_params(self.model, one) for one in drawn]
        correlation = rank_correlation(values[len(controls) :], params)
        return value, values[: len(controls)], correlation

    def report(self, found: Architecture, **details: Any) -> ArchitectureReport:
        """Returns the report of a finished search."""
        largest = self.additive.extreme(largest=True)
        sizes: dict[str, Any] = {
            "macs": {
                "supernet": float(supernet_macs(self.model)),
                "largest": self.macs(largest),
                "found": self.macs(found),
            },
            "params": {
                "supernet": float(self.model.count_params()),
                "largest": architecture_params(self.model, largest),
                "found": architecture_params(self.model, found),
            },
        }
        return ArchitectureReport(
            architecture=found,
            choices=architecture_labels(self.model, found),
            space=self.space,
            costs=self.limits.costs(found),
            **sizes,
            **details,
        )


def enabled_options(
    decisions: Mapping[str, Decision], *, with_none: bool
) -> dict[str, list[int]]:
    """Returns the options that may be used, as their indices.

    Args:
        decisions: Decisions by name.
        with_none: Whether options that cut an edge are included.
    """
    found = {}
    for name, decision in decisions.items():
        allowed = _read(decision.enabled) > 0
        found[name] = [
            k
            for k, label in enumerate(decision.options)
            if allowed[k] and (with_none or label != NONE)
        ]
    return found


def _measure(
    model: keras.Model, constraint: Constraint, architecture: Any
) -> float:
    """Measures a cost; a number of bytes needs no copy of the weights."""
    take = extract_uncompiled if type(constraint) is MaxBytes else extract
    return constraint.measure(take(model, architecture))


def _read(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable))
