"""What makes Keras cheaper in tests; imported before Keras.

`apply` replaces what a model of a few units spends most of its time on. The
contract's `keras_fit` undoes it for one `fit` of each callback.
"""

import functools
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Threads cost more than they save on models of a few units, and programs that
# run for milliseconds are not worth an optimizing compiler.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_multi_thread_eigen=false",
)
os.environ.setdefault("MPLBACKEND", "Agg")
# Tests build the same small programs again and again: JAX compiles each once
# for all tests, workers and child processes, and for the next run.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR",
    str(Path(__file__).parents[1] / "build" / "jax"),
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")

import keras
import numpy as np
from keras.src.saving import saving_lib


def apply() -> None:
    """Changes Keras for the rest of the process."""
    # Keras 3.15 misses its own cache, and builds a layer, a metric and an
    # optimizer for each file of weights that it reads or writes.
    saving_lib.get_attr_skipset = functools.cache(saving_lib.get_attr_skipset)
    if keras.backend.backend() == "tensorflow":
        switch_graph_optimizer_off()
        build_optimizers()
        feed_arrays()
    elif keras.backend.backend() == "torch":
        import torch

        # Otherwise the first test that causes a warning hides all others.
        torch.set_warn_always(True)


def switch_graph_optimizer_off() -> None:
    """It takes longer than the steps of a test."""
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": True}
    )


def build_optimizers() -> None:
    """Builds a built model's optimizer before `fit` rather than inside it.

    TensorFlow traces a step that creates variables twice; JAX and torch do not.
    """
    fit = keras.Model.fit

    @functools.wraps(fit)
    def fit_built(self, *args, **kwargs):
        optimizer = getattr(self, "optimizer", None)
        if self.built and optimizer is not None and not optimizer.built:
            optimizer.build(self.trainable_variables)
        return fit(self, *args, **kwargs)

    keras.Model.fit = fit_built


def feed_arrays() -> None:
    """Feeds arrays without the three traces that Keras makes per call."""
    import tensorflow as tf
    from keras.src.trainers.data_adapters import array_slicing
    from keras.src.trainers.data_adapters.array_data_adapter import (
        ArrayDataAdapter,
    )

    original = ArrayDataAdapter.get_tf_dataset

    @functools.wraps(original)
    def get_tf_dataset(self):
        inputs = array_slicing.convert_to_sliceable(
            self._inputs, target_backend="tensorflow"
        )
        inputs = keras.tree.lists_to_tuples(inputs)
        plain = all(
            isinstance(leaf, np.ndarray | tf.Tensor)
            for leaf in keras.tree.flatten(inputs)
        )
        if (
            not plain
            or self._shuffle == "batch"
            or tf.distribute.has_strategy()
        ):
            return original(self)
        data = tf.data.Dataset.from_tensor_slices(inputs)
        if self._shuffle:
            data = data.shuffle(self._num_samples)
        # As in Keras: XLA needs the size of a batch where it is fixed.
        is_even = self._num_samples % self._batch_size == 0
        return data.batch(self._batch_size, drop_remainder=is_even)

    ArrayDataAdapter.get_tf_dataset = get_tf_dataset
