"""Sets chosen weights to zero while `fit` runs, and keeps them zero."""

from typing import Any

import keras

from keras_netopt import sparsity as engine
from keras_netopt.checks import (
    check_frequency,
    check_integer,
)
from keras_netopt.schedules import Schedule, as_schedule
from keras_netopt.serialization import export_class
from keras_netopt.sparsity import matching_config
from keras_netopt.sparsity.report import describe
from keras_netopt.sparsity.session import PruningSession
from keras_netopt.training import MaskStore, NoEffectWarning, ResumableCallback
from keras_netopt.training.order import LOGGERS


@export_class
class Pruning(ResumableCallback):
    """Prunes a model during `fit`: exact zeros, no wrapper, nothing to strip.

    Add it to `callbacks` and train as always. The share of zeros follows a
    schedule over the fit; pruned weights are zero after every batch, in every
    checkpoint and in the exported file. The model, its layers and its config
    stay what they are. Unstructured zeros make files smaller, not inference
    faster.

    List it after `EarlyStopping(restore_best_weights=True)` and before
    `ModelCheckpoint` and loggers; `sparsity` is in the logs. Use
    `keras_netopt.callbacks.BestCheckpoint` to keep the best epoch among those
    that have reached the target. A second fit with the same object keeps the
    masks; a new object starts a new schedule from the masks in force.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> model.compile("adam", "mse")
    >>> x, y = np.random.normal(size=(64, 8)), np.zeros((64, 50))
    >>> history = model.fit(
    ...     x, y, epochs=4, verbose=0, callbacks=[netopt.callbacks.Pruning(0.9)]
    ... )
    >>> float(np.mean(model.layers[0].get_weights()[0] == 0))
    0.9
    >>> history.history["sparsity"][-1]
    0.9

    Args:
        sparsity: Share of zeros among the selected weights, a float in
            [0, 1) reached by a cubic ramp from 10 % to 75 % of the fit, or a
            schedule from `keras_netopt.schedules`. Defaults to `None`, for
            patterns such as "2:4" that fix the share themselves.
        score: What a weight is worth: "magnitude", "random", "saliency",
            "movement", "wanda", or a `callable(weight, target) -> array`.
            Defaults to `"magnitude"`.
        allocation: How the zeros are shared out between layers: "global" (one
            threshold), "uniform", "erk", "er", or a dict of sparsities by
            key pattern. Defaults to `"global"`.
        pattern: Which zeros may stand where: "unstructured", "2:4" and the
            like, or `Block`, `Channel`, `NM` from `keras_netopt.sparsity`.
            Defaults to `"unstructured"`.
        include: Weights to prune: a regular expression on the key, a layer, a
            layer class, a `callable(variable, layer)`, "first", "last", or a
            list of those. Defaults to `None`: every kernel.
        exclude: Weights to leave alone, likewise. Defaults to `None`.
        frequency: Steps between two mask updates, at least 1. Defaults to
            `None`: some 100 updates in the ramp, 10 to 100 steps apart; in a
            short ramp 20.
        data: Calibration inputs for "wanda", as `model.predict` takes them;
            128 samples are enough. Defaults to `None`.
        min_size: Weights with fewer elements are left alone. Defaults to `0`.
        min_kept: Elements that each weight keeps at least. Defaults to `1`.
        seed: Seed of the "random" score. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; if the
            schedule lies outside the fit, `include` or `exclude` match
            nothing, the pattern fits no selected weight, weights are not
            finite or a callback stands in the wrong place, before the first
            step.

    Reference:
        Zhu and Gupta, 2017, https://arxiv.org/abs/1710.01878 (its s_f is
        `sparsity`); Han et al., 2015, https://arxiv.org/abs/1506.02626.
    """

    must_follow = ("EarlyStopping(restore_best_weights=True)",)
    should_precede = ("ModelCheckpoint", *LOGGERS)
    log_keys = {
        "sparsity": "share of the selected weights that are zero, in [0, 1)"
    }
    data_args = ("data",)

    def __init__(
        self,
        sparsity: float | Schedule | None = None,
        *,
        score: Any = "magnitude",
        allocation: Any = "global",
        pattern: Any = "unstructured",
        include: Any = None,
        exclude: Any = None,
        frequency: int | None = None,
        data: Any = None,
        min_size: int = 0,
        min_kept: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.recipe = engine.Recipe.create(
            score=score,
            allocation=allocation,
            pattern=pattern,
            min_kept=min_kept,
            seed=seed,
        )
        self.schedule = _as_schedule(sparsity, self.recipe)
        check_frequency(frequency)
        check_integer(min_size, "min_size")
        _check_data(self.recipe, data)
        self.sparsity = sparsity
        self.score = score
        self.allocation = allocation
        self.pattern = pattern
        self.include = include
        self.exclude = exclude
        self.frequency = frequency
        self.data = data
        self.min_size = min_size
        self.min_kept = min_kept
        self.seed = seed
        self.reset()

    def reset(self) -> None:
        """Resets what belongs to one model."""
        self._session: PruningSession | None = None

    def on_model_ready(self, model: keras.Model) -> None:
        """Selects the weights and gives each a mask."""
        old, self._session = self._session, None
        done = old is not None and old.done and MaskStore.of(model) is not None
        selection = engine.select(
            model, self.include, self.exclude, min_size=self.min_size
        )
        if not selection.targets:
            self.warn(NoEffectWarning, _nothing_selected(selection))
            return
        self._selection = self.recipe.fit(selection, self.schedule.final)
        targets = self._selection.targets
        self._check_overlap(model, {target.key for target in targets})
        self._session = PruningSession(
            model,
            targets,
            self.recipe,
            self.schedule,
            self._progress.run,
            frequency=self.frequency,
            data=self.data,
            done=done,
        )

    def on_resume(self, model: keras.Model) -> None:
        """Takes up a saved, a derived or a fresh position."""
        session = self._session
        if session is None:
            return
        saved = self.loaded_state()
        self.load_state_of("masks", session.store.load_state)
        session.begin(self._progress.step, saved[0] if saved else None)
        if session.floor > self.schedule.final + 1e-3:
            self.warn(
                NoEffectWarning,
                f"the model has sparsity {session.floor:.4g} already, more "
                f"than the target {self.schedule.final:.4g}: nothing will be "
                "pruned. Call `sparsity.strip` first to start anew.",
            )

    def on_steps(self, before: int, after: int) -> None:
        """Updates the masks where a point of the schedule has passed."""
        if self._session is not None and not self._session.advance(after):
            self.warn(
                NoEffectWarning,
                "weights are not finite, masks are left as they were. Lower "
                "the learning rate or clip the gradients.",
            )

    def on_fit_end(self, model: keras.Model) -> None:
        """Makes the last update if the schedule did not come to it."""
        session = self._session
        if session is None:
            return
        if not session.done:
            self._finish_early(session)
        if session.store.leaks(session.keys):
            self.warn(
                NoEffectWarning,
                "another callback has put denser weights back, of an epoch "
                "before the target was reached; they were pruned again "
                "without training. Set `start_from_epoch` of `EarlyStopping` "
                "to an epoch after the end of the schedule.",
            )
        session.project()
        wanted = self.schedule.final
        allowed = max(0.01, session.rounding())
        if session.finite and wanted - session.share > allowed:
            self.warn(
                NoEffectWarning,
                f"sparsity {session.share:.4g} was reached for {wanted:.4g}: "
                "`min_kept`, `allocation` and `pattern` leave no more weights "
                "to prune.",
            )

    def _finish_early(self, session: PruningSession) -> None:
        reached, end = session.share, session.points[-1]
        if session.update(end):
            self.warn(
                NoEffectWarning,
                f"training ended at step {self._progress.step}, before the "
                f"end of the schedule at step {end}: sparsity {reached:.4g} "
                f"was reached by then, the rest up to {session.share:.4g} was "
                "pruned without training. Train longer, or let the schedule "
                "end earlier.",
            )

    def progress_logs(self) -> dict[str, float]:
        """Returns the share of masked weights, known without a device read."""
        return (
            {} if self._session is None else {"sparsity": self._session.share}
        )

    def get_state(self) -> dict[str, Any]:
        """Returns the position that a resumed fit takes up."""
        return {} if self._session is None else self._session.facts()

    @property
    def is_complete(self) -> bool:
        """Whether the last update of the schedule has been made."""
        return self._session is not None and self._session.done

    def report(self) -> engine.SparsityReport:
        """Returns what was pruned, what was skipped and why.

        Returns:
            The report of the model of the last fit.

        Raises:
            ValueError: If the callback has not pruned anything yet.
        """
        if self._session is None:
            raise ValueError(
                "Pass the callback to `fit` before asking for its report. "
                f"Received: {self!r}"
            )
        masks = self._session.store.masks(self._session.keys)
        label = self.recipe.pattern.label
        return describe(self._session.model, self._selection, masks, label)

    def _config_value(self, name: str, value: Any) -> Any:
        if name in ("include", "exclude"):
            return matching_config.to_config(value)
        if name == "allocation" and isinstance(value, dict):
            return {
                matching_config.to_config(key): share
                for key, share in value.items()
            }
        return super()._config_value(name, value)

    @classmethod
    def from_config(cls, config: dict[str, Any], **data: Any) -> Any:
        """Builds the callback again; `data` is passed beside the config."""
        config = dict(config)
        patterns = {
            name: matching_config.from_config(config.pop(name))
            for name in ("include", "exclude")
            if name in config
        }
        return super().from_config(config, **patterns, **data)

    def _check_overlap(self, model: keras.Model, keys: set[str]) -> None:
        for other in self.other_callbacks(model):
            session = getattr(other, "_session", None)
            shared = keys.intersection(session.keys if session else ())
            if shared:
                raise ValueError(
                    "Two `Pruning` callbacks must not select the same "
                    "weights: use `include` and `exclude`. Received: "
                    f"keys={sorted(shared)}"
                )


def _as_schedule(
    sparsity: float | Schedule | None, recipe: engine.Recipe
) -> Schedule:
    if isinstance(sparsity, Schedule):
        recipe.final_sparsity(sparsity.final)
        return sparsity
    return as_schedule(recipe.final_sparsity(sparsity), "sparsity")


def _check_data(recipe: engine.Recipe, data: Any) -> None:
    if recipe.score.needs == "activations" and data is None:
        raise ValueError(
            "Argument `data` must hold calibration inputs for "
            f"score={recipe.score.name!r}, which is made from activations. "
            "Received: data=None"
        )


def _nothing_selected(selection: engine.Selection) -> str:
    rows = [f"{row.key} ({row.reason})" for row in selection.skipped]
    return (
        "no weight was selected, nothing will be pruned. Looked for trainable "
        f"kernels, found: {', '.join(rows) or 'no weights'}. Name what to "
        "prune with `include`."
    )
