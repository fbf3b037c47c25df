"""Plans and refusals against those of TFLite Micro's own runtime."""

import json
import re
import subprocess
import sys

import micro_cases
import pytest
from graphs_by_hand import Graph, Op, Tensor, write_graphs

from keras_netopt.cost.tflite_model import load_schema
from keras_netopt.export.micro.arena_plan import plan_activations
from keras_netopt.export.micro.find_problems import find_problems
from keras_netopt.export.micro.micro_runtime import (
    find_installed,
    load_runtime,
)
from keras_netopt.export.micro.read_graph import read_graph

pytestmark = pytest.mark.no_backend
# Each file in a copy of one process: the runtime may end it.
PROGRAM = """
import json, os, sys
from tflite_micro import runtime

def load(path):
    read, write = os.pipe()
    if os.fork() == 0:
        os.dup2(write, 1), os.dup2(write, 2)
        try:
            one = runtime.Interpreter.from_file(path, arena_size=10**6)
            one.print_allocations()
        except Exception as error:
            print(error, flush=True)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        text = file.read()
    os.wait()
    return text

json.dump([load(path) for path in json.load(sys.stdin)], sys.stdout)
"""
needs_runtime = pytest.mark.skipif(
    find_installed() != load_runtime().version,
    reason="the extra micro is not installed",
)


def load_all(contents, folder):
    """What the runtime says to each file, by name."""
    paths = [folder / f"{k}.tflite" for k in range(len(contents))]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        input=json.dumps(list(map(str, paths))),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(contents, json.loads(found.stdout), strict=True))


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    cases = {**micro_cases.RUN, **micro_cases.REFUSED}
    return load_all(cases, tmp_path_factory.mktemp("cases"))


@needs_runtime
def test_the_plan_equals_what_the_runtime_records(said):
    wrong = {}
    for name, content in micro_cases.RUN.items():
        recorded = re.search(r"Arena allocation head (\d+)", said[name])
        planned = plan_activations(read_graph(content))
        if recorded is None or int(recorded[1]) != planned:
            wrong[name] = (planned, said[name][:200])
    assert not wrong


@needs_runtime
def test_the_runtime_refuses_what_has_a_problem(said):
    wrong = []
    for name, content in micro_cases.REFUSED.items():
        found = "; ".join(find_problems(read_graph(content)))
        if name not in found or "failed to allocate" not in said[name]:
            wrong.append((name, found, said[name][:200]))
    for name, content in micro_cases.RUN.items():
        if found := find_problems(read_graph(content)):
            wrong.append((name, found))
    assert not wrong


@needs_runtime
def test_the_list_of_ops_is_that_of_the_package(tmp_path):
    names = {n for n in vars(load_schema().BuiltinOperator) if n[0] != "_"}
    custom = {*load_runtime().custom_ops, "ethos-u", "FlexErf"}
    tensors = [Tensor((1, 2))] * 2
    said = load_all(
        {
            name: write_graphs(
                Graph(tensors, [Op(name, [0], [1])], [0], [1]), custom=custom
            )
            for name in sorted((names | custom) - {"CUSTOM"})
        },
        tmp_path,
    )
    lacks = re.compile("Didn't find op|Failed to get registration")
    found = {name for name, text in said.items() if not lacks.search(text)}
    assert found - custom == load_runtime().ops
    assert found & custom == load_runtime().custom_ops


def test_a_file_with_a_plan_of_its_own_is_not_planned():
    schema = load_schema()
    content = write_graphs(
        Graph([Tensor((1, 4))] * 2, [Op("ABS", [0], [1])], [0], [1])
    )
    assert plan_activations(read_graph(content)) == 32
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.metadata = [
        schema.MetadataT(name="OfflineMemoryAllocation", buffer=0)
    ]
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    assert plan_activations(read_graph(bytes(builder.Output()))) is None
