"""Executes the notebooks of a folder, one after another.

`python scripts/run_notebooks.py colab` runs the cells of each notebook in a
process of its own, like a fresh kernel. The processes are forks of one that
has imported the large packages. `--images` limits the embedded data.
"""

import argparse
import functools
import importlib
import json
import os
import sys
from pathlib import Path

# What takes long to import; none of it computes before the forks.
PACKAGES = (
    "IPython.core.interactiveshell",
    "ai_edge_litert.interpreter",
    "keras_tuner",
    "matplotlib.figure",
    "tensorflow",
)
ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Returns 0 unless a notebook fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, help="training images, at most")
    arguments = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # As in the tests: one thread, no graph optimizer, built optimizers.
    sys.path.insert(0, str(ROOT / "tests"))
    settings = importlib.import_module("conftest")
    for name in PACKAGES:
        importlib.import_module(name)
    settings.pytest_collection_finish()
    failed = []
    for path in sorted(arguments.folder.resolve().glob("*.ipynb")):
        print(f"--- {path.name}", flush=True)
        child = os.fork()
        if not child:
            settings.pytest_configure()
            os._exit(execute(path, arguments.images))
        _, status, usage = os.wait4(child, 0)
        if status:
            failed.append(path.name)
        result = "failed" if status else "passed"
        seconds = usage.ru_utime + usage.ru_stime
        print(f"--- {path.name} {result}: {seconds:.0f} CPU s", flush=True)
    if failed:
        print(f"Failed: {', '.join(failed)}")
    return int(bool(failed))


def execute(path: Path, images: int | None) -> int:
    """Runs the cells of a notebook; returns 1 if one of them raises."""
    from IPython.core.interactiveshell import InteractiveShell

    if images is not None:
        limit_images(images)
    os.chdir(path.parent)
    shell = InteractiveShell.instance()
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        if not shell.run_cell("".join(cell["source"])).success:
            return 1
    sys.stdout.flush()
    return 0


def limit_images(count: int) -> None:
    """Lets the notebooks load the first `count` images of each part."""
    from keras_netopt import datasets

    load = datasets.fashion_mnist_sample

    @functools.wraps(load)
    def load_some():
        return tuple((x[:count], y[:count]) for x, y in load())

    datasets.fashion_mnist_sample = load_some


if __name__ == "__main__":
    sys.exit(main())
