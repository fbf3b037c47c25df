"""Every example in a docstring runs."""

import doctest
import importlib
import pkgutil

import keras
import pytest

import keras_netopt
import keras_netopt.callbacks
import keras_netopt.layers


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


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="examples are run once, on TensorFlow, where export works",
)
@pytest.mark.parametrize("name", module_names())
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)

    result = doctest.testmod(
        importlib.import_module(name),
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )

    assert result.failed == 0
