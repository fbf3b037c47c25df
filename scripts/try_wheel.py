"""Installs the built wheel into a fresh environment and tries it elsewhere.

The heavy dependencies are taken from the environment that runs this script
(a path file), so the check takes seconds: it looks for files missing from
the wheel.
"""

import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

SMOKE = """
import numpy as np, keras
import keras_netopt as netopt
assert "site-packages" in netopt.__file__, netopt.__file__
(x, y), _ = netopt.datasets.fashion_mnist_sample()
x, y = x[:256] / 255.0, y[:256]
model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(),
    keras.layers.Dense(32, activation="relu"), keras.layers.Dense(10)])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(True))
model.fit(x, y, epochs=2, verbose=0,
    callbacks=[netopt.callbacks.Pruning(0.9)])
zeros = [np.mean(layer.get_weights()[0] == 0) for layer in model.layers[1:]]
print(netopt.sparsity.report(model))
assert max(zeros) > 0.85, zeros
path = "smoke.tflite"
report = netopt.export.to_litert(model, path, sparse=True, overwrite=True)
print(report)
"""


def main() -> int:
    """Returns 0 where the wheel works from another folder."""
    wheels = list(Path(sys.argv[1]).resolve().glob("*.whl"))
    if len(wheels) != 1:
        raise SystemExit(f"Expected one wheel. Received: wheels={wheels}")
    check_top_level(wheels[0])
    with tempfile.TemporaryDirectory() as folder:
        python = make_environment(Path(folder) / "env")
        # This environment's pip: installing one there takes longer.
        pip = [sys.executable, "-m", "pip", "--python", str(python)]
        options = ["-q", "--no-deps", "--disable-pip-version-check"]
        command = [*pip, "install", *options, str(wheels[0])]
        subprocess.run(command, check=True)
        for command in (
            [str(python), "-c", SMOKE],
            [str(python.parent / "keras-netopt"), "methods"],
            [str(python.parent / "keras-netopt"), "methods", "pruning"],
        ):
            subprocess.run(command, check=True, cwd=folder)
    print("The wheel works.")
    return 0


def check_top_level(wheel: Path) -> None:
    """Refuses a wheel that would install more than `keras_netopt`."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(
            n for n in archive.namelist() if n.endswith("top_level.txt")
        )
        top_level = archive.read(name).decode().split()
    if top_level != ["keras_netopt"]:
        raise SystemExit(
            "The wheel must hold `keras_netopt` alone. "
            f"Received: top_level={top_level}"
        )


def make_environment(folder: Path) -> Path:
    """Makes an environment that sees this one's packages, ours excepted."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    purelib = subprocess.run(
        [
            str(python),
            "-c",
            "import sysconfig; print(sysconfig.get_path('purelib'))",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    # A plain path line does not run the .pth files of the other folder, so
    # the editable install there stays out of sight.
    path_file = Path(purelib) / "dependencies.pth"
    path_file.write_text(sysconfig.get_path("purelib") + "\n")
    return python


if __name__ == "__main__":
    sys.exit(main())
