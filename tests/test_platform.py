"""docs/platform.md: each entry has a version, a call and an answer."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_backend

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/platform.md"
NAMES = "torch|Keras|LiteRT|TensorFlow|tfmot|KerasTuner|Optuna|gymnasium"
VERSION = re.compile(rf"^(?:{NAMES}) \d+\.\d+(\.\d+)?")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def entries():
    """Pairs of a heading and the text below it."""
    text = PAGE.read_text(encoding="utf-8")
    _, *parts = re.split(r"^### (.+)$", text, flags=re.MULTILINE)
    bodies = [re.split(r"^## ", body, flags=re.MULTILINE)[0] for body in parts]
    return list(zip(bodies[::2], bodies[1::2], strict=True))


def faults_of(body):
    body = body.strip()
    if not VERSION.match(body):
        yield "does not begin with a name and a version"
    blocks = re.findall(r"```python\n(.*?)```", body, flags=re.DOTALL)
    if len(blocks) != 1:
        yield f"has {len(blocks)} blocks of code, expected 1"
    for block in blocks:
        count = sum(
            isinstance(node, ast.stmt)
            and not isinstance(node, ast.FunctionDef | ast.With)
            for node in ast.walk(ast.parse(block))
        )
        if not 1 <= count <= 3:
            yield f"has a call of {count} statements, expected 1 to 3"
    answers = re.findall(r"^\*\*(.+?)\*\*", body, flags=re.MULTILINE)
    if len(answers) != 1 or answers[0] not in ("right", "warned", "passed on"):
        yield f"has the answers {answers}, expected one of the three"
    tests = TEST.findall(body)
    if answers != ["passed on"] and not tests:
        yield "names no test"
    for file, name in tests:
        path = ROOT / file
        if not path.exists() or f"def {name}(" not in path.read_text():
            yield f"names {file}::{name}, which does not exist"
    for file in re.findall(r"\]\((?!http)([^)]+)\)", body):
        if not (PAGE.parent / file).exists():
            yield f"links {file}, which does not exist"


def test_every_entry_has_a_version_a_call_and_an_answer():
    found = entries()
    faults = [
        f"{title}: it {fault}"
        for title, body in found
        for fault in faults_of(body)
    ]
    assert faults == []
    assert len(found) >= 30
    assert len({title for title, _ in found}) == len(found)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("Some words.", "does not begin with a name and a version"),
        ("Keras 3.15.1. Words.", "has 0 blocks of code, expected 1"),
        ("Keras 3.15.1.\n\n**right**: words", "names no test"),
        (
            "Keras 3.15.1.\n\n**right**: `tests/toy.py::test_nothing`",
            "names tests/toy.py::test_nothing, which does not exist",
        ),
    ],
)
def test_faults_of_an_entry_are_found(body, fault):
    assert fault in list(faults_of(body))
