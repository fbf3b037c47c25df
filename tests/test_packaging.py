"""The wheel holds every folder; imports are light."""

import ast
import configparser
import json
import re
import sys
from pathlib import Path

import keras
import pytest
from fresh import run_fresh

import keras_netopt

pytestmark = pytest.mark.no_backend

ROOT = Path(__file__).resolve().parent.parent
HEAVY = (
    "tensorflow",
    "keras_tuner",
    "matplotlib",
    "tensorflow_model_optimization",
    "tf_keras",
    "ai_edge_litert",
)


def declared_packages() -> list[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config["options"]["packages"].split()


def test_setup_cfg_lists_every_package_folder():
    folders = {
        "callbacks": "keras_netopt.callbacks",
        "layers": "keras_netopt.layers",
    }
    expected = set()
    for top in ("keras_netopt", "callbacks", "layers"):
        for init in (ROOT / top).rglob("__init__.py"):
            parts = init.parent.relative_to(ROOT).parts
            first = folders.get(parts[0], parts[0])
            expected.add(".".join((first, *parts[1:])))
    expected.add("keras_netopt.cards")  # docs/methods: no Python in it.

    assert sorted(declared_packages()) == sorted(expected)


def imported_names() -> set[str]:
    """First parts of every import of the library, lazy ones too."""
    names = set()
    for top in ("keras_netopt", "callbacks", "layers"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_every_import_is_declared():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = [
        config["options"]["install_requires"],
        *config["options.extras_require"].values(),
    ]
    declared = re.findall(r"^[\w.-]+", "\n".join(lines), flags=re.MULTILINE)
    known = {name.replace("-", "_") for name in declared}
    known |= {"keras_netopt", *sys.stdlib_module_names}

    assert imported_names() <= known


def test_notebooks_and_readme_install_the_same_extras():
    install = 'pip install "{}[plots,litert,int4,processes,report]"'
    readme = (ROOT / "README.md").read_text()
    assert f"```bash\n{install.format('.')}\n```" in readme
    notebooks = sorted((ROOT / "colab").glob("*.ipynb"))
    assert len(notebooks) >= 7
    for path in notebooks:
        cells = json.loads(path.read_text())["cells"]
        code = [c["source"] for c in cells if c["cell_type"] == "code"]
        assert "".join(code[0]) == (
            "import importlib.util\n\n"
            'if importlib.util.find_spec("keras_netopt") is None:\n'
            "    # Not on PyPI yet: installs the checkout around this "
            "notebook.\n"
            f"    %{install.format('..').replace('install', 'install -q')}"
        )


def test_version_is_a_pep_440_version():
    from packaging.version import Version

    assert str(Version(keras_netopt.__version__)) == keras_netopt.__version__


@pytest.mark.parametrize("folder", ["callbacks", "layers"])
def test_source_folder_refuses_to_be_imported_under_its_own_name(folder):
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        folder, ROOT / folder / "__init__.py"
    )
    module = importlib.util.module_from_spec(spec)

    with pytest.raises(ImportError) as error:
        spec.loader.exec_module(module)

    assert str(error.value) == (
        f"Import `keras_netopt.{folder}`, not the source folder. "
        f"Received: __name__='{folder}'"
    )


def test_import_alone_imports_no_keras():
    code = (
        "import sys, keras_netopt as netopt; netopt.registry, netopt.search;"
        "print([m for m in ('keras', 'tensorflow') if m in sys.modules])"
    )
    assert run_fresh({"": code}) == {"": "[]"}


def test_public_names_load_on_first_use():
    assert keras_netopt.callbacks.Pruning.__name__ == "Pruning"
    assert set(dir(keras_netopt)) == set(keras_netopt.__all__)
    for name in keras_netopt.__all__:
        assert getattr(keras_netopt, name) is not None
    with pytest.raises(AttributeError) as error:
        keras_netopt.unknown  # noqa: B018
    assert str(error.value) == (
        "module 'keras_netopt' has no attribute 'unknown'"
    )


ORDERS = (
    "import keras, keras_netopt",
    "import keras_netopt, keras",
    "import keras_netopt; keras_netopt.points; import keras",
    "import keras_netopt.sparsity.masks; import keras",
    "from keras_netopt.callbacks import Pruning; import keras",
)


@pytest.fixture(scope="module")
def printed():
    """What fresh processes print that import in one of the orders."""
    codes = {
        imports: f"{imports}\nimport sys\n"
        "names = keras.saving.get_custom_objects()\n"
        "print(sorted(n for n in names if n.startswith('keras_netopt>')))\n"
        "hooks = [type(hook).__name__ for hook in sys.meta_path]\n"
        "assert '_ImportHook' not in hooks"
        for imports in ORDERS
    }
    codes["heavy"] = (
        "import sys, keras; before = set(sys.modules); import keras_netopt\n"
        f"heavy = lambda: {{*{HEAVY}}} & {{*sys.modules}} - before\n"
        "print(heavy())\n"
        "import keras_netopt.cost, keras_netopt.export; print(heavy())"
    )
    # What Keras itself imports; that is nothing heavy under JAX.
    preload = (
        "import IPython, jax.experimental.sparse, matplotlib.pyplot, requests\n"
        f"assert not {{*{HEAVY}}} & {{*sys.modules}} - {{'matplotlib'}}"
    )
    return run_fresh(codes, preload)


def test_import_after_keras_imports_nothing_heavy(printed):
    assert printed["heavy"] == "set()\nset()"


@pytest.mark.parametrize("imports", ORDERS)
def test_any_order_of_imports_registers_every_saved_class(printed, imports):
    """`load_model` must find layers whose module the user did not import."""
    for name in keras_netopt.__all__:  # Loads the classes of every package.
        getattr(keras_netopt, name)
    expected = sorted(
        name
        for name, saved in keras.saving.get_custom_objects().items()
        if saved.__module__.startswith("keras_netopt.")
    )
    assert "keras_netopt>SkipGate" in expected
    assert ast.literal_eval(printed[imports]) == expected


def test_keras_is_version_three():
    assert keras.__version__.startswith("3.")
