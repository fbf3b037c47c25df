"""The version of TFLite Micro that files are checked against."""

import functools
import importlib.metadata
import importlib.util
import json
from dataclasses import dataclass
from importlib import resources

NAME = "TFLite Micro"
INSTALL = 'pip install "keras-netopt[micro]"'


@dataclass(frozen=True)
class MicroRuntime:
    """The operators that one version of TFLite Micro's Python package has.

    Args:
        version: The version of the PyPI package `tflite-micro`.
        source: The file that registers its operators, at its commit.
        ops: The builtin operators.
        custom_ops: The custom operators.
    """

    version: str
    source: str
    ops: frozenset[str]
    custom_ops: frozenset[str]

    def has(self, op: str) -> bool:
        """Whether it has an operator, by the name in `count_ops`."""
        return op in self.ops or op in self.custom_ops


@functools.cache
def load_runtime() -> MicroRuntime:
    """Returns the version that the package's data file describes."""
    folder = resources.files("keras_netopt") / "data"
    text = (folder / "tflite_micro_ops.json").read_text("utf-8")
    content = json.loads(text)
    return MicroRuntime(
        content["version"],
        content["source"],
        frozenset(content["ops"]),
        frozenset(content["custom_ops"]),
    )


def find_installed() -> str | None:
    """Returns the version of `tflite-micro` that is installed, if one is."""
    if importlib.util.find_spec("tflite_micro") is None:
        return None
    try:
        return importlib.metadata.version("tflite-micro")
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"
