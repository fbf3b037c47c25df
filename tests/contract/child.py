"""What needs a process of its own: `python -m contract.child KIND FOLDER`.

"killed" ends by SIGKILL. "fresh" makes every check that needs a fresh
process and two devices, and writes what failed to results.json.
"""

import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

TIME_LIMIT = 540


def environment(folder: Path) -> dict[str, str]:
    """The environment of a child: this backend, two devices, our path."""
    import keras

    tests = str(Path(__file__).resolve().parent.parent)
    path = [tests, os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "KERAS_BACKEND": keras.backend.backend(),
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def main(kind: str, root: Path) -> None:
    _two_devices()
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message="__array__ implementation")
    if kind == "killed":
        from contract import resume

        resume.kill_all(root)
    results: dict[str, str] = {}
    for name, check in _fresh_checks(root):
        start = time.perf_counter()
        try:
            check()
            results[name] = ""
        except Exception:
            results[name] = traceback.format_exc()
        print(f"{time.perf_counter() - start:6.2f} s  {name}", flush=True)
    (root / "results.json").write_text(json.dumps(results))


def _two_devices() -> None:
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        one = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(cpu, [one, one])


def _fresh_checks(root: Path) -> Any:
    """Yields names and checks; files are read before our import."""
    from contract import reload

    trials = sorted(path.parent for path in root.glob("trials/*/model.keras"))
    for folder in trials:
        yield f"plain {folder.name}", _bind(reload.model_file, folder)
    if "keras_netopt" in sys.modules:
        raise RuntimeError("the files must be read without keras_netopt")
    import keras_netopt  # noqa: F401

    for folder in trials:
        yield f"model {folder.name}", _bind(reload.model_file, folder)
        yield f"weights {folder.name}", _bind(reload.weights_file, folder)
    from contract import devices, resume

    for run in (*resume.EXACT, *resume.FREQUENT):
        yield f"resume {run.name}", _bind(resume.resume, run, root)
    for run in resume.EXACT:
        yield f"whole {run.name}", _bind(resume.run_through, run, root)
    yield from devices.checks(root)


def _bind(function: Callable[..., None], *arguments: Any) -> Any:
    return lambda: function(*arguments)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
