"""What every test shares: quiet logs, fixed seeds, small models and data."""

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
    rng = np.random.default_rng(0)
    y = np.arange(64) % 3
    x = rng.standard_normal((64, 8)).astype("float32")
    x[np.arange(64), y] += 2.0
    return x, y.astype("int32")


@pytest.fixture
def make_mlp():
    """A function that builds the same compiled MLP each time."""

    def make(optimizer="adam", dropout=0.2, **compile_arguments):
        keras.utils.set_random_seed(7)
        model = keras.Sequential(
            [
                keras.Input((8,)),
                keras.layers.Dense(16, activation="relu", name="hidden"),
                keras.layers.BatchNormalization(momentum=0.9, name="norm"),
                keras.layers.Dropout(dropout, name="dropout"),
                keras.layers.Dense(3, name="out"),
            ]
        )
        model.compile(
            optimizer,
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            **compile_arguments,
        )
        return model

    return make
