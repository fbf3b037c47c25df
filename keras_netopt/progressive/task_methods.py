"""Methods of a progressive network that work on one task."""

from typing import Any

import keras

from keras_netopt.progressive.adapter_report import AdapterReport
from keras_netopt.progressive.cached_features import CachedFeatures
from keras_netopt.progressive.export_task import export_model
from keras_netopt.progressive.prune_adapters import prune_task
from keras_netopt.progressive.task import Task


class TaskMethods:
    """The functions on the model of a task, with its name instead."""

    def _find(self, name: str) -> Task:
        raise NotImplementedError

    def prune_adapters(
        self, name: str, x: Any, **options: Any
    ) -> AdapterReport:
        """Removes what a task hardly uses of its lateral connections.

        Args:
            name: The last task.
            x: As in `progressive.prune_adapters`.
            **options: Likewise, `threshold` and `score`.
        """
        return prune_task(self._find(name), x, **options)

    def export(self, name: str, x: Any = None) -> keras.Model:
        """Returns a plain model of one task; see `progressive.export_task`.

        Args:
            name: A task, finished or not.
            x: As in `progressive.export_task`.
        """
        return export_model(self._find(name), x)

    def cache_features(
        self, name: str, x: Any, **options: Any
    ) -> CachedFeatures:
        """Computes what a task reads; see `progressive.cache_features`.

        Args:
            name: The last task.
            x: As in `progressive.cache_features`.
            **options: Likewise, `batch_size`.
        """
        return CachedFeatures(self._find(name), x, **options)
