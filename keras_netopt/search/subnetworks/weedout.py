"""Searches a sparse sub-network of low loss before training."""

import time
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer, check_verbose
from keras_netopt.cost.summarize import count_model_macs
from keras_netopt.graph.check_model import check_model
from keras_netopt.search.subnetworks.masked_loss import MaskedLoss, Samples
from keras_netopt.search.subnetworks.subset_search import search_subset
from keras_netopt.search.subnetworks.subsets import Kept
from keras_netopt.search.subnetworks.weedout_result import (
    Subnetwork,
    WeedoutResult,
)
from keras_netopt.search.subnetworks.weedout_settings import WeedoutSettings
from keras_netopt.selectors import Selector
from keras_netopt.training.compiled_clone import clone_compiled
from keras_netopt.training.mask_store import MaskStore
from keras_netopt.training.sample_loss import has_loss


def weedout(
    model: keras.Model,
    sparsity: float = 0.8,
    *,
    data: Any,
    candidates: int = 100,
    batch: int = 512,
    heuristic: str = "random",
    scope: str = "local",
    granularity: str = "node",
    allocation: Any = "uniform",
    include: Selector | None = None,
    exclude: Selector | None = None,
    mask_inputs: bool = False,
    controls: int = 1,
    seed: int = 0,
    verbose: int | str = 1,
) -> WeedoutResult:
    """Searches a sparse sub-network of low loss before training (Weedout).

    A neutral baseline: its paper finds that the found networks, once trained,
    "neither perform better nor converge more efficiently" than random ones of
    the same sparsity. Each call therefore returns random controls as well, and
    `result.compare(fit)` trains both.

    Stage 1, this function, evaluates configurations of an over-parameterised
    network and keeps the one of the lowest loss, with the weights that it has.
    Stage 2 is an ordinary `fit` of `result.model`. The model may be fresh or
    trained for a while; it does not change.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([
    ...     keras.Input((8,)),
    ...     keras.layers.Dense(20, activation="relu", name="hidden"),
    ...     keras.layers.Dense(1),
    ... ])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.random.normal(size=(64, 8)), np.zeros((64, 1))
    >>> result = netopt.search.weedout(
    ...     model, 0.8, data=(x, y), candidates=10, verbose=0)
    >>> len(result.config["hidden"]), result.model.get_layer("hidden").units
    (4, 4)
    >>> result.loss == min(result.losses)
    True

    Args:
        model: A built model, compiled with a loss. For `granularity="node"`
            Functional or Sequential, or one whose calls can be traced.
        sparsity: Share that is removed, of the units or of the weights, a
            float in [0, 1). Defaults to `0.8`.
        data: Samples `(x, y)` or `(x, y, sample_weight)`, or batches of them,
            on which configurations are evaluated.
        candidates: Number of evaluated configurations, at least 1. Defaults
            to `100`.
        batch: Number of samples that are used, at least 1: evenly spaced ones
            of arrays, the first ones of batches. Defaults to `512`.
        heuristic: "random", or "genetic": a population of 20, tournaments of
            3, uniform crossover with exact counts, a swap mutation, the best
            one survives. Both evaluate `candidates` configurations. Defaults
            to `"random"`.
        scope: "local": each layer loses its share; "global": all layers
            together do, and each keeps one unit or weight. Defaults to
            `"local"`.
        granularity: "node": whole units are cut, with all weights coupled to
            them; "weight": single weights are masked, and `fit` keeps them
            at zero. Defaults to `"node"`.
        allocation: Sparsities of the layers: "uniform", "erk" (small layers
            keep more) or a dictionary from selectors to sparsities; for
            weights also "er" and `sparsity.PerLayer`. Defaults to
            `"uniform"`.
        include: Layers to search, for weights as in `sparsity.select`: a
            regular expression searched in the path, "first", "last", a layer,
            a layer class, a `callable(layer) -> bool`, or a list of those.
            Defaults to `None`: all.
        exclude: Those not to search, in the same form. Defaults to `None`.
        mask_inputs: Whether the features of the inputs are units, too; their
            weights are masked, the shape of the inputs stays. For inputs of
            shape `(samples, features)`. Defaults to `False`.
        controls: Number of random configurations, at least 1. Defaults to
            `1`.
        seed: Seed of candidates and controls. Defaults to `0`.
        verbose: 0 is silent, 1 shows a progress bar. Defaults to `1`.

    Returns:
        The found network, its configuration, all losses, the controls and the
        parent; `print` it.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, `controls` is 0, no layer
            can be searched, `include` names protected layers alone, the model
            has no loss or already has masks, or no loss is finite.

    Reference:
        Farahani, 2024, https://arxiv.org/abs/2403.08265.
    """
    check_model(model)
    settings = WeedoutSettings.create(
        sparsity=sparsity,
        candidates=candidates,
        heuristic=heuristic,
        scope=scope,
        granularity=granularity,
        allocation=allocation,
        include=include,
        exclude=exclude,
        mask_inputs=mask_inputs,
        controls=controls,
    )
    check_integer(batch, "batch", minimum=1)
    check_integer(seed, "seed")
    check_verbose(verbose)
    if not has_loss(model):
        raise ValueError(
            "Argument `model` must be compiled with a loss, by which "
            "configurations are compared: call `model.compile(loss=...)`. "
            f"Received: model={model.name!r}"
        )
    if MaskStore.of(model) is not None:
        raise ValueError(
            "Argument `model` must have no masks: the copies that are searched "
            "would not keep them. Call `sparsity.remove_masks` first. "
            f"Received: model={model.name!r}"
        )
    samples = _collect(data, batch)
    given = settings.make_space(model)  # Refuses before anything is copied.
    copy = clone_compiled(model)
    settings = settings.for_copy(model, copy)
    search = WeedoutSearch(copy, settings, samples)
    # A copy of a subclassed model names its layers anew.
    search.space.names, search.space.skipped = given.names, given.skipped
    return search.run(seed, verbose)


class WeedoutSearch:
    """Searches sub-networks of one network, with any seed.

    Args:
        parent: The network, a copy that nobody else changes.
        settings: The arguments.
        samples: The samples on which candidates are compared.
    """

    def __init__(
        self, parent: keras.Model, settings: WeedoutSettings, samples: Samples
    ) -> None:
        self.parent = parent
        self.settings = settings
        self.space = settings.make_space(parent)
        self._samples = samples
        self._loss = MaskedLoss(parent, self.space.variables, samples)

    def __repr__(self) -> str:
        return f"WeedoutSearch({self.settings})"

    def run(self, seed: int, verbose: int | str = 0) -> WeedoutResult:
        """Searches, and draws the controls."""
        settings, space = self.settings, self.space
        begin = time.perf_counter()
        progress = _Progress(settings.candidates, verbose)

        def evaluate(kept: Kept) -> float:
            loss = self._loss(space.masks(kept))
            progress.update(loss)
            return loss

        found = search_subset(
            settings.heuristic,
            space.subsets,
            evaluate,
            settings.candidates,
            np.random.default_rng([seed, 0]),
        )
        if not np.isfinite(found.losses).any():
            raise ValueError(
                "Argument `model` must have a finite loss on `data` for one "
                "configuration or more. Received: losses="
                f"{list(found.losses[:3])!r}"
            )
        seconds = time.perf_counter() - begin
        rng = np.random.default_rng([seed, 1])
        drawn = [space.subsets.draw(rng) for _ in range(settings.controls)]
        whole = [np.ones(tuple(v.shape), bool) for v in space.variables]
        return WeedoutResult(
            found=self._describe(found.kept, float(np.nanmin(found.losses))),
            losses=found.losses,
            random=tuple(
                self._describe(one, self._loss(space.masks(one)))
                for one in drawn
            ),
            parent=self.parent,
            parent_loss=self._loss(whole),
            sizes=dict(zip(space.names, space.subsets.sizes, strict=True)),
            skipped=space.skipped,
            seconds=seconds,
            macs=self._count_macs(),
            search=self,
        )

    def _describe(self, kept: Kept, loss: float) -> Subnetwork:
        space = self.space
        return Subnetwork(
            model=space.make_model(kept),
            config=space.describe(kept),
            loss=loss,
            node_sparsity=space.node_sparsity(kept),
            weight_sparsity=space.weight_sparsity(kept),
        )

    def _count_macs(self) -> int:
        """Counts the MACs of all evaluations: masked, not cut."""
        macs, _ = count_model_macs(self.parent)
        return macs * self._samples.count * self.settings.candidates


class _Progress:
    """Shows evaluations and the lowest loss so far."""

    def __init__(self, total: int, verbose: int | str) -> None:
        self._done, self._best = 0, float("inf")
        self._bar = None
        if verbose:
            self._bar = keras.utils.Progbar(
                total, unit_name="configuration", stateful_metrics=["best_loss"]
            )

    def update(self, loss: float) -> None:
        self._done += 1
        self._best = min(self._best, loss)
        if self._bar is not None:
            self._bar.update(self._done, [("best_loss", self._best)])


def _collect(data: Any, batch: int) -> Samples:
    """Reads the samples; errors name the argument `data`."""
    try:
        samples = Samples.collect(data, batch)
    except (TypeError, ValueError) as error:
        text = str(error).replace("calibration_data", "data")
        raise type(error)(text) from error
    if samples.y is None:
        raise ValueError(
            "Argument `data` must hold targets: pass (x, y). "
            f"Received: data of type {type(data).__name__} without targets"
        )
    return samples
