"""Code in README and docs/ names only what exists.

Examples in docstrings are executed; those in pages need a model and data. So
each name below `netopt` and each keyword argument is checked here.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import keras_netopt as netopt

pytestmark = pytest.mark.no_backend

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
MODULES = (
    *("callbacks", "cost", "curriculum", "depth", "export", "layers"),
    *("learning_rate", "plots", "schedules", "search", "sparsity", "surgery"),
)
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def snippets(text: str) -> Iterator[ast.AST]:
    """Parses the blocks, and the inline code that is Python."""
    for block in BLOCK.findall(text):
        yield ast.parse(block)
    for span in SPAN.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        try:
            yield ast.parse(span.strip())
        except SyntaxError:
            continue  # A path, a shell command, half of an expression.


def dotted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return None if base is None else f"{base}.{node.attr}"
    return None


def public_names() -> dict[str, object]:
    names: dict[str, object] = {}
    for module in MODULES:
        found = importlib.import_module(f"keras_netopt.{module}")
        for name in found.__all__:
            names.setdefault(name, getattr(found, name))
            names[f"{module}.{name}"] = getattr(found, name)
    return names


NAMES = public_names()


def resolve(name: str) -> object | None:
    """Returns the object that a dotted name means; None where it is no ours.

    Raises:
        AttributeError: If a name below `netopt` does not exist.
    """
    if name.startswith("netopt."):
        found = netopt
        for part in name.split(".")[1:]:
            found = getattr(found, part)
        return found
    return NAMES.get(name)


def unknown_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = dotted(node) or ""
            try:
                resolve(name)
            except AttributeError:
                yield name
        if isinstance(node, ast.Call):
            yield from _unknown_arguments(node)


def _unknown_arguments(call: ast.Call) -> Iterator[str]:
    name = dotted(call.func)
    try:
        function = resolve(name) if name else None
    except AttributeError:
        return  # Told as a name already.
    if not callable(function):
        return
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for keyword in call.keywords:
        if keyword.arg and keyword.arg not in parameters:
            yield f"{name}({keyword.arg}=...)"


def unknown_in(text: str) -> list[str]:
    return [name for tree in snippets(text) for name in unknown_names(tree)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_only_what_exists(page):
    assert unknown_in(page.read_text()) == []


def test_unknown_names_are_found():
    text = "`netopt.callbacks.Prune(0.5)`, `Pruning(0.9, ratio=1)`"
    assert unknown_in(text) == ["netopt.callbacks.Prune", "Pruning(ratio=...)"]
    assert unknown_in("`Pruning(0.9)`, `make test`, `Dense(8, ratio=1)`") == []


def test_pages_of_methods_stay_short():
    """Full tables belong in docs/benchmarks. README.md is generated."""
    lengths = {
        page.name: len(page.read_text().splitlines())
        for page in (ROOT / "docs" / "methods").glob("*.md")
        if page.name != "README.md"
    }
    assert {name: n for name, n in lengths.items() if n > 130} == {}
