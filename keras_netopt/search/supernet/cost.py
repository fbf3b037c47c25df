"""Parameters and MACs of the networks of a supernet."""

import weakref
from collections import defaultdict
from typing import Any

import keras

from keras_netopt.cost import summarize
from keras_netopt.graph.layers import walk_layers
from keras_netopt.search.supernet.architecture import (
    check_architecture,
    read_architecture,
)
from keras_netopt.search.supernet.elastic_cost import ElasticCost
from keras_netopt.search.supernet.elastic_units import ElasticUnits
from keras_netopt.search.supernet.extract import (
    extract_uncompiled,
    find_links,
    searchable_layers,
)
from keras_netopt.search.supernet.random_controls import DRAWS
from keras_netopt.search.supernet.searchable_layer import (
    Architecture,
    SearchableLayer,
    find_decisions,
)

Cost = tuple[float, int]
_TABLES: "weakref.WeakKeyDictionary[keras.Model, Any]" = (
    weakref.WeakKeyDictionary()
)


def architecture_macs(model: keras.Model, architecture: Architecture) -> int:
    """Returns the MACs per sample of one network of a supernet.

    Decisions that are not named take their preferred option. The first call
    extracts a few networks; later calls add numbers of a table if the
    decisions do not depend on one another.
    """
    return int(_costs(model).cost(_complete(model, architecture))[0])


def architecture_params(model: keras.Model, architecture: Architecture) -> int:
    """Returns the number of weights of one network; see the above."""
    return int(_costs(model).cost(_complete(model, architecture))[1])


def supernet_macs(model: keras.Model) -> int:
    """Returns the MACs per sample of a model that computes all options.

    Elastic layers compute their largest size. Where they are mixed with
    choices, it is the cost of the network of last options.
    """
    costs = _costs(model)
    if isinstance(costs, TableCost):
        return int(costs.total_macs())
    last = {n: len(d.options) - 1 for n, d in find_decisions(model).items()}
    return int(costs.cost(last)[0])


def affordable_draws(model: keras.Model) -> int:
    """Returns how many networks may be drawn to find some of a cost.

    Where choices and elastic layers are mixed, each one is extracted.
    """
    return 200 if isinstance(_costs(model), ExtractedCost) else DRAWS


class TableCost:
    """Adds the costs of the chosen candidates.

    Exact if all decisions are those of choices and no candidate holds
    another: outputs of candidates have one shape. As many networks are
    extracted as the largest decision has options.
    """

    def __init__(self, model: keras.Model) -> None:
        decisions = find_decisions(model)
        links = find_links(model)
        names = {
            name: links.get(name, name) for name in searchable_layers(model)
        }
        counts = {name: len(one.options) for name, one in decisions.items()}
        self._table: dict[tuple[str, int], Cost] = {}
        for k in range(max(counts.values())):
            chosen = {name: min(k, n - 1) for name, n in counts.items()}
            small = extract_uncompiled(model, chosen)
            costs: dict[str, Cost] = defaultdict(lambda: (0, 0))
            for row in summarize(small).layers:
                owners = [p for p in row.name.split("/") if p in names]
                owner = names[owners[0]] if owners else ""
                macs, params = costs[owner]
                costs[owner] = macs + (row.macs or 0), params + row.params
            self._base = costs[""]
            for name, index in chosen.items():
                self._table[name, index] = costs[name]

    def cost(self, architecture: dict[str, int]) -> Cost:
        """Returns MACs and parameters."""
        rows = [self._table[item] for item in architecture.items()]
        macs, params = zip(self._base, *rows, strict=True)
        return sum(macs), sum(params)

    def total_macs(self) -> float:
        """Returns the MACs of all candidates together."""
        return self._base[0] + sum(macs for macs, _ in self._table.values())


class ElasticTable:
    """Adapts `ElasticCost`."""

    def __init__(self, model: keras.Model) -> None:
        self._costs = ElasticCost(model)

    def cost(self, architecture: dict[str, int]) -> Cost:
        """Returns MACs and parameters."""
        costs = self._costs
        return costs.macs(architecture), costs.params(architecture)


class ExtractedCost:
    """Extracts every network once. Exact for any model."""

    def __init__(self, model: keras.Model) -> None:
        self._model = weakref.ref(model)
        self._known: dict[tuple[tuple[str, int], ...], Cost] = {}

    def cost(self, architecture: dict[str, int]) -> Cost:
        """Returns MACs and parameters."""
        key = tuple(sorted(architecture.items()))
        if key not in self._known:
            model: Any = self._model()
            report = summarize(extract_uncompiled(model, architecture))
            self._known[key] = report.macs, report.params
        return self._known[key]


def _costs(model: keras.Model) -> Any:
    if model not in _TABLES:
        layers = list(searchable_layers(model).values())
        elastic = [
            isinstance(one, ElasticUnits) or hasattr(one, "chosen_blocks")
            for one in layers
        ]
        holds_others = any(
            isinstance(inner, SearchableLayer) and inner is not one
            for one in layers
            for inner in walk_layers(one)
        )
        if all(elastic):
            _TABLES[model] = ElasticTable(model)
        elif any(elastic) or holds_others:
            _TABLES[model] = ExtractedCost(model)
        else:
            _TABLES[model] = TableCost(model)
    return _TABLES[model]


def _complete(model: keras.Model, architecture: Architecture) -> dict[str, int]:
    found = find_decisions(model)
    given = check_architecture(found, architecture)
    if len(given) < len(found):
        given = {**read_architecture(model), **given}
    return given
