"""Imports point down, and one name means one class."""

import ast
import functools
from collections import defaultdict
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_backend

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("keras_netopt", "callbacks", "layers")
# Folders and modules of the package, from the lowest level to the highest.
LEVELS = (
    "_version checks datasets files metric_direction paired_difference points "
    "prechelt_rules process_identity registration registry "
    "report serialization tables warnings",
    "graph",
    "cost plots schedules selectors training",
    "advice continual curriculum depth distillation export fine_tuning "
    "learning_rate quantization rl search sparsity surgery tf_keras_bridge",
    "callbacks layers",
    "compression progressive",
    "__main__ cli demo",
)
LEVEL = {
    name: level for level, line in enumerate(LEVELS) for name in line.split()
}


@functools.cache
def trees():
    """Every module: its place in the package and its syntax tree."""
    return list(parse_modules())


def parse_modules():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if folder == "keras_netopt":
                parts = parts[1:]
            yield parts, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree):
    """The modules of this package that a tree imports, lazily too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, *parts = name.split(".")
            if package == "keras_netopt" and parts:
                yield tuple(parts)


def test_every_module_has_a_level():
    found = {parts[0] for parts, _ in trees()} - {"__init__"}
    assert found - set(LEVEL) == set()


def test_imports_point_down():
    wrong = [
        f"{'/'.join(parts)} imports {'.'.join(other)}"
        for parts, tree in trees()
        for other in imports(tree)
        if parts[0] != "__init__" and LEVEL.get(other[0], 0) > LEVEL[parts[0]]
    ]
    assert wrong == []


def test_handlers_and_graphs_do_not_import_one_another():
    handlers, channels = ("surgery", "handlers"), ("surgery", "channels")
    apart = {(handlers, channels), (channels, handlers)}
    wrong = [
        f"{'/'.join(parts)} imports {'.'.join(other)}"
        for parts, tree in trees()
        for other in imports(tree)
        if (parts[:2], other[:2]) in apart
        or (parts[:2] == handlers and other[0] == "graph")
        or (parts[0] == "graph" and other[0] != "graph")
    ]
    assert wrong == []


def test_no_module_is_long():
    """A callback says when, the functions that it calls say what."""
    sizes = {
        path.relative_to(ROOT).as_posix(): len(path.read_bytes().splitlines())
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name: size for name, size in sizes.items() if size > 400} == {}


def test_callbacks_and_layers_do_not_import_one_another():
    wrong = [
        f"{'/'.join(parts)} imports {'.'.join(other)}"
        for parts, tree in trees()
        for other in imports(tree)
        if parts[0] in ("callbacks", "layers")
        and parts[-1] != "__init__"
        and other[0] in ("callbacks", "layers")
    ]
    assert wrong == []


def test_no_two_classes_share_a_name():
    found = defaultdict(list)
    for parts, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append("/".join(parts))
    assert {n: places for n, places in found.items() if len(places) > 1} == {}
