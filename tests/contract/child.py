"""Checks in a separate process: `python -m contract.child KIND FOLDER`.

"killed" ends by SIGKILL; "resumed" resumes its `fit` calls, and trains on two
devices; "resume" runs both. "files" loads files of other processes. Each
writes failures to KIND.json and its output to KIND.log.
"""

import json
import os
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TIME_LIMIT = 540
Checks = Iterator[tuple[str, Callable[[], None]]]


def environment(folder: Path) -> dict[str, str]:
    """The environment of a child: this backend, two devices, this path."""
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


def start(kind: str, root: Path, cache: Path | None) -> subprocess.Popen[str]:
    """Starts a child without waiting for it."""
    log = (root / f"{kind}.log").open("w")
    with log:
        return subprocess.Popen(
            [sys.executable, "-m", "contract.child", kind, str(root)],
            env=environment(cache or root),
            cwd=root,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def main(kind: str, root: Path) -> None:
    if kind == "resume":
        _resume(root)
        return
    _two_devices()
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message="__array__ implementation")
    if kind == "killed":
        from contract import resume

        resume.kill_all(root)
    checks = _file_checks(root) if kind == "files" else _resumed_checks(root)
    results: dict[str, str] = {}
    for name, check in checks:
        begin = time.perf_counter()
        try:
            check()
            results[name] = ""
        except Exception:
            results[name] = traceback.format_exc()
        print(f"{time.perf_counter() - begin:6.2f} s  {name}", flush=True)
    (root / f"{kind}.json").write_text(json.dumps(results))


def _resume(root: Path) -> None:
    """Runs the two processes of C6 in order; imports no Keras."""
    for kind in ("killed", "resumed"):
        with (root / f"{kind}.log").open("w") as log:
            code = subprocess.run(
                [sys.executable, "-m", "contract.child", kind, str(root)],
                stdout=log,
                stderr=log,
                timeout=TIME_LIMIT,
            ).returncode
        (root / f"{kind}.code").write_text(str(code))


def _two_devices() -> None:
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        one = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(cpu, [one, one])


def _file_checks(root: Path) -> Checks:
    """Loads every file twice: before keras_netopt is imported, and after."""
    from contract import reload

    trials = sorted(path.parent for path in root.glob("trials/*/model.keras"))
    for folder in trials:
        yield f"plain {folder.name}", _bind(reload.model_file, folder)
    if "keras_netopt" in sys.modules:
        raise RuntimeError("the files must be read without keras_netopt")
    import keras_netopt  # noqa: F401

    yield "losses", _find_losses
    for folder in sorted(root.glob("layers/*")):
        yield f"layer {folder.name}", _bind(reload.layer_file, folder)
    for folder in trials:
        yield f"model {folder.name}", _bind(reload.model_file, folder)
        yield f"weights {folder.name}", _bind(reload.weights_file, folder)


def _find_losses() -> None:
    import keras

    if keras.saving.get_registered_object("keras_netopt>SuperLoss") is None:
        raise RuntimeError("`import keras_netopt` registers no SuperLoss")


def _resumed_checks(root: Path) -> Checks:
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
