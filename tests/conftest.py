"""What every test shares: quiet logs, fixed seeds, small models and data."""

import contextlib
import functools
import gc
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
import pytest
from keras.src.saving import saving_lib
from pool import Pool
from toy import build_mlp, make_toy_data

# Keras 3.15 misses its own cache, and builds a layer, a metric and an optimizer
# for each file of weights that it reads or writes.
saving_lib.get_attr_skipset = functools.cache(saving_lib.get_attr_skipset)


def pytest_report_header() -> str:
    return f"keras backend: {keras.backend.backend()}"


def pytest_configure() -> None:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # The graph optimizer takes longer than the steps of a test.
        tf.config.optimizer.set_experimental_options(
            {"disable_meta_optimizer": True}
        )
        build_optimizers()
        feed_arrays()


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


def pytest_collection_finish() -> None:
    # What is imported by now stays: the garbage collector need not look at it.
    gc.collect()
    gc.freeze()


# Cases of one test that run by default. Every new shape costs JAX a
# compilation and TensorFlow a trace; torch runs them all, `make test-slow` too.
CASES = {"jax": 3, "tensorflow": 5}
FAMILIES = ("surgery", "callbacks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks as slow what another run has seen, or one more case of many."""
    if keras.backend.backend() != "tensorflow":
        for item in items:
            if item.get_closest_marker("no_backend"):
                item.add_marker(pytest.mark.slow)
    allowed = CASES.get(keras.backend.backend())
    if allowed is None:
        return
    seen: dict[object, int] = {}
    for item in items:
        test = getattr(item, "originalname", item.name)
        if not set(FAMILIES) & set(item.path.parts):
            continue
        if item.get_closest_marker("all_cases"):
            continue
        number = seen[item.path, test] = seen.get((item.path, test), 0) + 1
        if number > allowed:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(0)


@pytest.fixture
def backend() -> str:
    return keras.backend.backend()


@pytest.fixture
def toy_data():
    """64 samples of 8 features in 3 separable classes."""
    return make_toy_data()


@pytest.fixture
def make_mlp():
    """A function that builds the same compiled MLP each time."""
    return build_mlp


POOLS: dict[object, Pool] = {}


@pytest.fixture
def lend():
    """`lend(key, build)`: a traced model for this test (pool.py)."""
    with contextlib.ExitStack() as loans:

        def take(key, build, trace=keras.Model.make_train_function):
            pool = POOLS.setdefault(key, Pool(build, trace))
            return loans.enter_context(pool.lend())

        yield take


@pytest.fixture
def traced_mlp(lend, toy_data):
    """As `make_mlp`, but the step of the model is traced already.

    For callbacks that do not change the step. The optimizer is a name.
    """

    def take(optimizer="adam", dropout=0.2, **arguments):
        def build():
            return build_mlp(optimizer, dropout, **arguments)

        def trace(model):
            model.fit(*toy_data, batch_size=16, verbose=0)

        key = f"mlp {optimizer} {dropout} {arguments}"
        return lend(key, build, trace)

    return take
