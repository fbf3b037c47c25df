"""Imports what a forked child needs, without an operation of the backend.

A process that has started its backend cannot be forked: threads do not
survive. Importing alone starts none. Import this module before Keras.
"""

import importlib
import os
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Models of a few units: threads cost more than they save, and programs that
# run for milliseconds are not worth an optimizing compiler.
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_backend_optimization_level=0 "
    "--xla_cpu_multi_thread_eigen=false",
    # A child need not compile what an earlier one has compiled.
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / "build" / "jax"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
}
# Keras imports them on first use.
MODULES = (
    "tensorflow",
    "unittest.mock",
    "keras",
    "h5py",
    "keras_netopt",
    "keras_tuner",
    "jax.experimental.multihost_utils",
)


def _preload() -> None:
    """Imports Keras and the models of the contract tests."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # JAX warns of threads that a fork would lose; there are none yet.
    warnings.filterwarnings("ignore", message=".*fork.*")
    tests = str(ROOT / "tests")
    if tests not in sys.path:
        sys.path.insert(0, tests)
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] != name.split(".")[0]:
                raise


_preload()
