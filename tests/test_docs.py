"""Every example in a docstring runs."""

import doctest
import importlib.util
import pkgutil
from pathlib import Path

import pytest

import keras_netopt
import keras_netopt.callbacks
import keras_netopt.layers

# They run once, on TensorFlow, where export works.
pytestmark = pytest.mark.no_backend


def module_names() -> list[str]:
    """Every module of the package; tests and colab stand outside of it."""
    roots = {
        "keras_netopt": keras_netopt.__path__[:1],
        "keras_netopt.callbacks": keras_netopt.callbacks.__path__,
        "keras_netopt.layers": keras_netopt.layers.__path__,
    }
    names = set(roots)
    for name, path in roots.items():
        found = pkgutil.walk_packages(path, f"{name}.")
        names.update(module.name for module in found)
    return sorted(n for n in names if not n.endswith("__main__"))


def has_example(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return ">>>" in Path(spec.origin).read_text(encoding="utf-8")


def test_every_module_is_imported():
    for name in module_names():
        importlib.import_module(name)


@pytest.mark.parametrize("name", [*filter(has_example, module_names())])
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    result = doctest.testmod(
        importlib.import_module(name),
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )

    assert result.failed == 0
    assert result.attempted > 0
