"""The end of a search: the found architecture, compared with random ones."""

import math
from typing import Any

import numpy as np

from keras_netopt.search.supernet.architecture import (
    read_architecture,
    set_architecture,
)
from keras_netopt.search.supernet.architecture_report import (
    ArchitectureReport,
)
from keras_netopt.search.supernet.collapse import (
    find_collapse,
    find_majority,
)
from keras_netopt.search.supernet.cost import supernet_macs
from keras_netopt.search.supernet.path_evolution import PathEvolution
from keras_netopt.search.supernet.search_data import SearchData
from keras_netopt.search.supernet.subnet_ranker import SubnetRanker
from keras_netopt.search.supernet.supernet_search import SupernetSearch

BACKWARD = 3.0  # A training step costs three forward passes.
MEASURED = 50  # Architectures whose slow costs are measured at most.


def finish_search(
    space: SupernetSearch,
    data: SearchData,
    *,
    method: str,
    monitor: str,
    mode: str,
    verbose: bool,
    evaluations: int,
    steps: int,
) -> ArchitectureReport:
    """Finds the architecture after the training; see `ArchitectureSearch`."""
    is_single = method != "darts"
    ranker = None
    if data.validation is not None:
        ranker = SubnetRanker(
            space.model,
            data.validation,
            data.calibration(),
            monitor=monitor,
            mode=mode,
            verbose=is_single and verbose,
            total=min(evaluations, space.space),
        )
    if ranker is None or not is_single:
        return finish_darts(space, data, ranker, steps=steps)
    return finish_single_path(
        space, data, ranker, evaluations=evaluations, steps=steps
    )


def finish_single_path(
    space: SupernetSearch,
    data: SearchData,
    ranker: SubnetRanker,
    *,
    evaluations: int,
    steps: int,
) -> ArchitectureReport:
    """Searches by evolution and sets the found architecture.

    Raises:
        ValueError: If no evaluated architecture keeps the limits.
    """
    trained = space.additive.expected(space.shares())
    evolution = space.evolve(ranker, evaluations)
    found = find_best_within_limits(space, evolution)
    searched = ranker.samples * trained
    set_architecture(space.model, found)
    labels = {name: one.options for name, one in space.decisions.items()}
    return _report(
        space,
        data,
        ranker,
        found,
        method="single_path",
        steps=steps,
        step_macs=trained,
        search_macs=searched,
        evaluations=len(evolution.scores),
        refused=evolution.refused,
        collapse=find_majority(found, space.weightless(), labels),
    )


def finish_darts(
    space: SupernetSearch,
    data: SearchData,
    ranker: SubnetRanker | None,
    *,
    steps: int,
) -> ArchitectureReport:
    """Reads the architecture with the largest weights."""
    return _report(
        space,
        data,
        ranker,
        read_architecture(space.model),
        method="darts",
        steps=steps,
        step_macs=float(supernet_macs(space.model)),
        search_macs=0.0,
        evaluations=0,
        refused={},
        collapse=describe_collapse(space, space.shares()),
    )


def describe_collapse(
    space: SupernetSearch, shares: dict[str, np.ndarray]
) -> str | None:
    """Describes what operations without weights have taken over."""
    options = {name: one.options for name, one in space.decisions.items()}
    return find_collapse(shares, space.weightless(), options)


def find_best_within_limits(
    space: SupernetSearch, evolution: PathEvolution
) -> dict[str, int]:
    """Measures the best ones until one keeps limits that were estimated.

    Those that were measured before the training always count.
    """
    reasons: list[str] = []
    for architecture in evolution.ranking():
        is_known = space.limits.is_measured(architecture)
        if len(reasons) >= MEASURED and not is_known:
            continue
        reason = space.limits.measured_excess(architecture)
        if reason is None:
            return architecture
        reasons.append(reason)
    nearest = space.limits.nearest()
    raise ValueError(
        "Argument `constraints` must allow an architecture that the search "
        f"reaches. Of {len(evolution.scores)} evaluated ones the best "
        f"{len(reasons)} were measured; {sum(evolution.refused.values())} "
        f"others were refused. Received: constraints whose nearest "
        f"architecture is {nearest}"
    )


def _report(
    space: SupernetSearch,
    data: SearchData,
    ranker: SubnetRanker | None,
    found: dict[str, int],
    *,
    steps: int,
    step_macs: float,
    search_macs: float,
    **details: Any,
) -> ArchitectureReport:
    value, correlation = math.nan, math.nan
    controls: list[float] = []
    if ranker is not None:
        value, controls, correlation = space.compare(
            found, ranker, with_none=details["method"] != "darts"
        )
    samples = steps * data.batch_size * BACKWARD
    largest = space.additive.extreme(largest=True)
    return space.report(
        found,
        monitor=ranker.monitor if ranker is not None else "",
        sign=int(ranker.sign) if ranker is not None else 1,
        value=value,
        controls=tuple(controls),
        spearman_params=correlation,
        search_macs=samples * step_macs + search_macs,
        largest_training_macs=samples * space.macs(largest),
        **details,
    )
