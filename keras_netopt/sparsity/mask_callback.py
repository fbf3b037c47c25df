"""Base class of callbacks that keep masks on weights."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_netopt.sparsity.allocation import PerLayer
from keras_netopt.sparsity.kernel_zeros import (
    KernelZeros,
    kernels_filled_by_lora,
)
from keras_netopt.sparsity.layer_collapse import describe_collapse
from keras_netopt.sparsity.mask_session import MaskSession
from keras_netopt.sparsity.pruner import Pruner
from keras_netopt.sparsity.selection import Selection, WeightTarget, select
from keras_netopt.sparsity.sparsity_report import SparsityReport, make_report
from keras_netopt.training import (
    MaskStore,
    NoEffectWarning,
    NotIntendedUseWarning,
    ResumableCallback,
)
from keras_netopt.training.order import LOGGERS
from keras_netopt.warnings import LayerCollapseWarning

_LEAKS = (
    "the training step changes masked weights: it does not update them with a "
    "Keras optimizer that is an attribute of the model. They are set to zero "
    "again after each step, which takes time; momentum and clipping do not "
    "see the masks."
)
_NOT_FINITE = (
    "weights are not finite, so the masks were not updated. Lower the learning "
    "rate or clip the gradients."
)


class MaskCallback(ResumableCallback):
    """Selects weights, keeps their masks, and reports the zeros.

    A subclass sets `pruner`, `include`, `exclude` and `min_size` in its
    constructor and overrides `open_session`, which creates the session with
    the methods `resume`, `advance` and `get_state`.
    """

    must_follow = ("EarlyStopping(restore_best_weights=True)",)
    should_precede: tuple[str, ...] = ("ModelCheckpoint", *LOGGERS)
    log_keys = {
        "sparsity": "share of the weights of all kernels, selected or not, "
        "that are zero, in [0, 1]",
        "selected_sparsity": "share of the selected weights that are zero, in "
        "[0, 1)",
    }
    data_args = ("calibration_data",)
    selector_args = ("include", "exclude")

    pruner: Pruner
    include: Any
    exclude: Any
    min_size: int

    def open_session(
        self,
        model: keras.Model,
        targets: tuple[WeightTarget, ...],
        old: MaskSession | None,
        store: MaskStore | None,
    ) -> MaskSession:
        """Creates the session of one `fit` call.

        Args:
            model: The model.
            targets: The selected weights.
            old: The session of the last `fit` call, or `None`.
            store: The masks that the model had before, or `None`.
        """
        raise NotImplementedError

    @property
    def final_sparsity(self) -> float:
        """The sparsity at the end."""
        raise NotImplementedError

    def reset(self) -> None:
        """Resets the state that belongs to one model."""
        self._session: Any = None
        self._others = KernelZeros(0, 0)

    def on_model_ready(self, model: keras.Model) -> None:
        """Selects the weights and creates their masks."""
        old, self._session = self._session, None
        store = MaskStore.of(model)
        selection = select(
            model, self.include, self.exclude, min_size=self.min_size
        )
        if not selection.targets:
            self.warn(NoEffectWarning, _nothing_selected(selection))
            return
        self._selection = self.pruner.filter_selection(
            model, selection, self.final_sparsity
        )
        targets = self._selection.targets
        self._check_overlap(model, {target.key for target in targets})
        self._warn_lora(model)
        self._session = self.open_session(model, targets, old, store)

    def on_resume(self, model: keras.Model) -> None:
        """Restores masks and position from a file, or creates the masks."""
        session = self._session
        if session is None:
            return
        saved = self.loaded_state()
        for name, load in session.loaders().items():
            self.load_state_of(name, load)
        session.resume(self._progress.step, saved[0] if saved else None)
        self.warn_collapse()
        self.count_others(model)

    def on_steps(self, before: int, after: int) -> None:
        """Updates the masks when an update point has been passed."""
        session = self._session
        if session is None:
            return
        is_finite = session.advance(after)
        self.warn_collapse()
        if session.leaks:
            self.warn(NotIntendedUseWarning, _LEAKS)
        if not is_finite:
            self.warn(NoEffectWarning, _NOT_FINITE)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; counts the zeros of the other kernels."""
        if self._session is not None:
            self.count_others(self.model)  # On JAX, this syncs the state.
        super().on_epoch_end(epoch, logs)

    def count_others(self, model: keras.Model) -> None:
        """Counts the zeros of the kernels without masks, for the logs."""
        self._others = KernelZeros.of(model, self._session.keys)

    def progress_logs(self) -> dict[str, float]:
        """Returns the shares of zeros, known without a device read."""
        session = self._session
        if session is None:
            return {}
        return {
            "sparsity": self._others.share(session.zeros, session.weights),
            "selected_sparsity": session.share,
        }

    def get_state(self) -> dict[str, Any]:
        """Returns the position of the session, for a resumed fit."""
        return {} if self._session is None else self._session.get_state()

    def report(self) -> SparsityReport:
        """Returns the zeros per weight, and the skipped weights with reasons.

        Returns:
            The report of the model of the last fit.

        Raises:
            ValueError: If the callback was not passed to `fit` yet.
        """
        if self._session is None:
            raise self.report_error("masks")
        masks = self._session.store.masks(self._session.keys)
        label = self.pruner.pattern.label
        return make_report(self._session.model, self._selection, masks, label)

    def warn_collapse(self) -> None:
        """Warns of layers that the last update has left almost no weights."""
        keys = self._session.collapsed
        if keys:
            self.warn(LayerCollapseWarning, describe_collapse(keys))

    def _config_value(self, name: str, value: Any) -> Any:
        if name == "allocation" and isinstance(value, Mapping):
            value = PerLayer(value)
        return super()._config_value(name, value)

    def _check_overlap(self, model: keras.Model, keys: set[str]) -> None:
        for other in self.other_callbacks(model):
            if not isinstance(other, MaskCallback) or other._session is None:
                continue
            shared = keys.intersection(other._session.keys)
            names = sorted({type(self).__name__, type(other).__name__})
            if shared:
                raise ValueError(
                    f"Two callbacks with masks ({', '.join(names)}) must not "
                    "select the same weights. Separate them with `include` "
                    f"and `exclude`. Received: keys={sorted(shared)}"
                )

    def _warn_lora(self, model: keras.Model) -> None:
        """Warns of zeros that the product of a LoRA pair fills."""
        filled = kernels_filled_by_lora(model)
        if filled:
            self.warn(
                NotIntendedUseWarning,
                f"{', '.join(filled)} has zeros that LoRA fills: the layer "
                "multiplies with the sum of its kernel and the LoRA product. "
                "`sparsity` in the logs counts the zeros of the sum. Use "
                "`sparsity.enable_lora`, which keeps the zeros, or fine-tune "
                "with LoRA first and prune afterwards: `save_weights` merges "
                "the product into the kernels, `load_weights` of a model "
                "without LoRA reads them.",
            )


def _nothing_selected(selection: Selection) -> str:
    rows = [f"{row.key} ({row.reason})" for row in selection.skipped]
    return (
        "no weight was selected, so none will be pruned. Trainable kernels "
        "are selected by default; the model has "
        f"{', '.join(rows) or 'no weights'}. Name weights in `include`."
    )
