"""State of one quantization run: selected kernels, grids and masters."""

import math

import keras
import numpy as np

from keras_netopt.quantization.clusters import Clusters
from keras_netopt.quantization.quantization_report import (
    QuantizationReport,
    make_report,
)
from keras_netopt.quantization.selection import check_finite, select_kernels
from keras_netopt.quantization.settings import QuantizationSettings
from keras_netopt.selectors import Selector
from keras_netopt.sparsity.prunability import is_kernel
from keras_netopt.sparsity.selection import Selection
from keras_netopt.sparsity.weight_matches import list_weights
from keras_netopt.training.master_store import MasterStore

# Steps between two steps of Lloyd's algorithm on shared values.
LLOYD_STEPS = 50


class QuantizationSession:
    """Keeps the kernels of one model on their grids.

    Args:
        model: A compiled, built model.
        settings: Grid or clusters.
        include: Selector of the kernels, or `None`.
        exclude: Selector of kernels that stay float, or `None`.

    Raises:
        ValueError: If kernels are not finite, or a selector or a selected
            layer does not fit.
    """

    def __init__(
        self,
        model: keras.Model,
        settings: QuantizationSettings,
        include: Selector | None,
        exclude: Selector | None,
    ) -> None:
        self.model = model
        self._settings = settings
        self._selectors = include, exclude
        self.selection = self._select()
        check_finite(self.selection)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the selected kernels."""
        return tuple(target.key for target in self.selection.targets)

    @property
    def store(self) -> MasterStore | None:
        """The model's master store, `None` before `attach`."""
        return MasterStore.of(self.model)

    def attach(self) -> MasterStore:
        """Adds masters to the selected kernels and rounds these."""
        self.selection = self._select()
        targets = self.selection.targets
        return MasterStore.attach(
            self.model,
            {target.key: target.variable for target in targets},
            {t.key: self._settings.make_quantizer(t) for t in targets},
        )

    def move_levels(self, before: int, after: int) -> None:
        """Moves shared values towards the means of their masters."""
        store, clusters = self.store, self._settings.clusters
        due = before // LLOYD_STEPS != after // LLOYD_STEPS
        if store is None or clusters is None or not due:
            return
        improve = Clusters(clusters).improve
        levels = {}
        for key, master in store.masters(self.keys).items():
            old = store.levels(key)
            if old is not None:
                levels[key] = improve(master, old)
        store.assign_levels(levels)

    def find_error(self) -> float:
        """Returns the distance of the kernels from their masters.

        It is the root of the sum of squared differences, relative to the
        root of the sum of squared masters.
        """
        store = self.store
        if store is None:
            return 0.0
        keys = [key for key in self.keys if key in store.keys]
        masters, values = store.masters(keys), store.values(keys)
        error = sum(
            float(np.square(values[k] - m.astype("float64")).sum())
            for k, m in masters.items()
        )
        size = sum(
            float(np.square(m, dtype="float64").sum()) for m in masters.values()
        )
        return float(np.sqrt(error / size)) if size else 0.0

    def report(self) -> QuantizationReport:
        """Returns the grid of each kernel, or why it stays float."""
        reasons = {s.key: s.reason for s in self.selection.skipped}
        return make_report(self.model, reasons)

    def _select(self) -> Selection:
        include, exclude = self._selectors
        settings = self._settings
        return select_kernels(
            self.model,
            include,
            exclude,
            bits=settings.bits,
            clusters=settings.clusters,
        )

    def find_share(self) -> float:
        """Returns the share of all kernels' weights that has masters."""
        store = self.store
        held = () if store is None else store.keys
        sizes = [
            (key in held, math.prod(variable.shape))
            for key, variable, layer in list_weights(self.model)
            if is_kernel(variable, layer)
        ]
        total = sum(size for _, size in sizes)
        return sum(size for inside, size in sizes if inside) / max(1, total)
