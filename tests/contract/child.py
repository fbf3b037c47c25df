"""Checks in a new process: `python -m contract.child FOLDER`.

It loads files of the trained models of the folder, resumes their runs, and
trains on two devices. It writes failures to `results.json`.
"""

import json
import os
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

TIME_LIMIT = 540
Checks = Iterator[tuple[str, Callable[[], None]]]


def environment() -> dict[str, str]:
    """The environment of a child: this backend, two devices, this path."""
    import keras

    tests = str(Path(__file__).resolve().parent.parent)
    path = [tests, os.environ.get("PYTHONPATH", "")]
    flags = os.environ.get("XLA_FLAGS", "")
    return {
        **os.environ,
        "KERAS_BACKEND": keras.backend.backend(),
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=2",
    }


def run(root: Path, devices: Sequence[str]) -> dict[str, str]:
    """Runs a child; returns the traceback or "" of each check.

    Args:
        root: Holds the folders "trials" and "layers".
        devices: Settings that are trained on two devices.
    """
    done = subprocess.run(
        [sys.executable, "-m", "contract.child", str(root), *devices],
        env=environment(),
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIME_LIMIT,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    (root / "child.log").write_text(done.stdout)
    found: dict[str, str] = json.loads((root / "results.json").read_text())
    return found


def main(root: Path, devices: Sequence[str]) -> None:
    _set_up()
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message="__array__ implementation")
    results: dict[str, str] = {}
    for name, check in _checks(root, devices):
        begin = time.process_time()
        try:
            check()
            results[name] = ""
        except Exception:
            results[name] = traceback.format_exc()
        print(f"{time.process_time() - begin:6.2f} CPU s  {name}", flush=True)
    (root / "results.json").write_text(json.dumps(results))


def _set_up() -> None:
    """Two devices, and what `tests/levers.py` does for speed."""
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import levers
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        one = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(cpu, [one, one])
        levers.switch_graph_optimizer_off()
        levers.feed_arrays()


def _checks(root: Path, on_two_devices: Sequence[str]) -> Checks:
    """Loads every file twice: before keras_netopt is imported, and after."""
    from contract import reload

    trials = root / "trials"
    folders = [path.parent for path in sorted(trials.glob("*/model.keras"))]
    for folder in folders:
        yield f"plain {folder.name}", _bind(reload.model_file, folder)
    if "keras_netopt" in sys.modules:
        raise RuntimeError("the files must be read without keras_netopt")
    import keras_netopt  # noqa: F401

    yield "losses", _find_losses
    from contract import devices, resume

    for folder in folders:
        yield f"model {folder.name}", _bind(reload.model_file, folder)
        yield f"weights {folder.name}", _bind(reload.weights_file, folder)
    for folder in sorted((root / "layers").glob("*")):
        yield f"layer {folder.name}", _bind(reload.layer_file, folder)
    for run in resume.RUNS:
        target = root / f"{run.name}.npz"
        yield run.name, _bind(resume.resume, run, trials, target)
    yield from devices.checks(root, on_two_devices)


def _find_losses() -> None:
    import keras

    if keras.saving.get_registered_object("keras_netopt>SuperLoss") is None:
        raise RuntimeError("`import keras_netopt` registers no SuperLoss")


def _bind(function: Callable[..., None], *arguments: Any) -> Any:
    return lambda: function(*arguments)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
