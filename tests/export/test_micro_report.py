"""Reports on files for TFLite Micro, and runs in a child process."""

import json

import micro_cases
import numpy as np
import pytest
from graphs_by_hand import Graph, Op, Tensor, write_graphs
from litert_by_hand import write_dense

from keras_netopt.export import inspect_file, micro_report
from keras_netopt.export.micro import run_file as module
from keras_netopt.export.micro.compare_outputs import compare_outputs
from keras_netopt.export.micro.explain_refusal import explain_refusal
from keras_netopt.export.micro.make_feeds import make_feeds
from keras_netopt.export.micro.micro_runtime import (
    find_installed,
    load_runtime,
)
from keras_netopt.export.micro.read_graph import read_graph

needs_runtime = pytest.mark.skipif(
    find_installed() is None, reason="the extra micro is not installed"
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("micro")
    return write_dense(folder / "m.tflite", np.eye(4, 3), [1.0, 2.0, 3.0])


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "m.tflite"
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def no_runtime(monkeypatch):
    monkeypatch.setattr(module, "find_installed", lambda: None)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a package in the place of the runtime."""

    def fake(code):
        folder = tmp_path / "site" / "tflite_micro"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(f"import os, sys, time\n{code}\n")
        monkeypatch.syspath_prepend(str(folder.parent))
        monkeypatch.setattr(module, "find_installed", lambda: "0.fake")

    return fake


@needs_runtime
def test_a_file_is_run_and_compared(path):
    report = micro_report(path, data=np.ones((40, 4)))
    assert report.can_run
    assert report.missing_ops == report.problems == ()
    assert report.ops == {"FULLY_CONNECTED": 1}
    assert report.file_bytes == path.stat().st_size
    assert report.weight_bytes == 60
    assert report.activation_bytes == report.run.head == 32
    assert report.run.arena == report.run.head + report.run.tail
    assert (report.run.status, report.run.source) == ("ran", "given")
    assert report.run.samples == 16
    assert report.run.max_abs_diff < 1e-6
    assert report.run.max_quanta is None
    assert report.inputs[0].shape == (None, 4)
    assert "are read as 1" in report.notes[0]
    written = json.loads(json.dumps(report.to_dict()))
    assert written["can_run"] and written["run"]["outputs"][0]["quanta"] is None
    for part in ("32 (plan)", "ran 16 given inputs", load_runtime().version):
        assert part in str(report)


@needs_runtime
def test_inputs_go_by_the_names_of_the_signature(write):
    """The runtime counts inputs in the order of the graph."""
    path = write(micro_cases.two_inputs())
    data = {"b": np.full((2, 5), 5.0), "a": np.ones((2, 3))}
    report = micro_report(path, data=data)
    assert report.run.max_abs_diff == 0.0
    assert report.run.samples == 2
    assert [one.name for one in report.inputs] == ["a", "b"]


@needs_runtime
def test_a_refusal_is_told_with_its_reason(write):
    report = micro_report(write(micro_cases.REFUSED["float16"]))
    assert not report.can_run
    assert report.run.status == "refused"
    assert report.run.reason.startswith("op DEQUANTIZE (number 0) failed to")
    assert report.run.samples == 0


@pytest.mark.no_backend
def test_without_the_package_the_report_names_it(path, no_runtime):
    report = micro_report(path)
    assert report.run.status == "not made"
    assert 'pip install "keras-netopt[micro]"' in report.run.reason
    assert report.can_run
    assert report.activation_bytes == 32


@pytest.mark.no_backend
@pytest.mark.parametrize(
    "code, status, reason",
    [
        (
            "class runtime:\n class Interpreter:\n  from_bytes = lambda *a, "
            "**k: os.kill(os.getpid(), 11)",
            "ended",
            "its process ended by signal SIGSEGV while TFLite Micro loaded",
        ),
        ("time.sleep(60)", "ended", "its process was stopped after 2 seconds"),
        ("os._exit(3)", "ended", "its process ended with exit code 3 while"),
        ("import no_such_module", "not made", "ModuleNotFoundError"),
        (
            "class runtime:\n class Interpreter:\n  def from_bytes(*a, **k):\n"
            "   sys.stderr.write(\"Didn't find op for builtin opcode 'POW'\")\n"
            "   raise RuntimeError('failed')",
            "refused",
            "it lacks the op POW",
        ),
    ],
    ids=["signal", "timeout", "exit", "import", "refusal"],
)
def test_an_end_of_the_process_is_in_the_report(
    path, fake, monkeypatch, code, status, reason
):
    fake(code)
    monkeypatch.setattr(module, "TIMEOUT", 2.0 if "sleep" in code else 60.0)
    report = micro_report(path)
    assert report.run.status == status
    assert reason in report.run.reason
    assert report.can_run == (status == "not made")
    assert report.run.version == "0.fake"


@pytest.mark.no_backend
def test_a_damaged_file_is_refused_and_ends_no_process(path, write, no_runtime):
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    seen = {"refused": 0, "read": 0}
    broken = [content[:end] for end in range(0, len(content) - 16, 7)]
    for _ in range(150):
        changed = bytearray(content)
        for place in rng.integers(8, len(content), 3):
            changed[place] = rng.integers(256)
        broken.append(bytes(changed))
    for one in broken:
        try:
            micro_report(write(one))
            inspect_file(write(one))
            seen["read"] += 1
        except ValueError as error:
            assert "Argument `path` must be" in str(error)
            seen["refused"] += 1
    assert seen["refused"] > 100
    with pytest.raises(TypeError, match="Argument `path`"):
        micro_report(3)


def nest(then):
    """An IF whose branches are the graph of this number."""
    tensors = [Tensor((), "BOOL"), Tensor((1, 2)), Tensor((1, 2))]
    fields = {"thenSubgraphIndex": then, "elseSubgraphIndex": then}
    op = Op("IF", [0, 1], [2], "IfOptions", fields)
    return Graph(tensors, [op], [0, 1], [2])


def apply_abs(*tensors, inputs=(0,), names=None):
    graph = Graph(list(tensors), [Op("ABS", [0], [1])], list(inputs), [1])
    return write_graphs(graph, inputs=names, outputs={"y": 1})


LEADS_OUT = {
    r"reads tensors \(1,\) of 1": apply_abs(Tensor((1, 2))),
    r"a constant of shape \(1, 99\) has 8 bytes": apply_abs(
        Tensor((1, 99), values=[1.0, 2.0]), Tensor((1, 99)), inputs=()
    ),
    "graph 1 runs itself": write_graphs(nest(1), nest(1)),
    r"IF runs the graphs \(2, 2\) of 2": write_graphs(nest(2), nest(1)),
    r"its signature names tensors \{'x': 1\} of \(0,\)": apply_abs(
        *[Tensor((1, 2))] * 2, names={"x": 1}
    ),
}


@pytest.mark.no_backend
@pytest.mark.parametrize("problem", LEADS_OUT)
def test_what_leads_out_of_the_file_is_named(write, problem):
    with pytest.raises(ValueError, match=problem):
        micro_report(write(LEADS_OUT[problem]))


@pytest.mark.no_backend
def test_differences_are_counted_in_quanta():
    tensors = [Tensor((1, 2), "INT8", scales=(0.5,), zero_point=3)] * 2
    tensors += [Tensor((1, 2)), Tensor((1, 2))]
    ops = [
        Op("RELU", [0], [1]),
        Op("DEQUANTIZE", [1], [2]),
        Op("ABS", [2], [3]),
    ]
    names = {"integers": 1, "decoded": 2, "floats": 3}
    file = read_graph(
        write_graphs(
            Graph(tensors, ops, [0], [1, 2, 3]), inputs={"x": 0}, outputs=names
        )
    )
    stored = {
        "TFLite Micro 0 0": np.array([[3, 10]], "i1"),
        "LiteRT 0 0": np.array([[5, 11]], "i1"),
        "TFLite Micro 0 1": np.array([[1.0, 2.0]]),
        "LiteRT 0 1": np.array([[1.0, 3.5]]),
        "TFLite Micro 0 2": np.array([[np.nan, 1.0]]),
        "LiteRT 0 2": np.array([[np.nan, np.inf]]),
    }
    found = {one.name: one for one in compare_outputs(file, stored, 1)}
    assert found["integers"].quanta == 2.0
    assert found["integers"].max_abs_diff == 1.0
    assert found["integers"].max_rel_diff == 0.25
    assert found["decoded"].quanta == 3.0
    assert found["floats"].quanta is None
    assert found["floats"].max_abs_diff == np.inf


@pytest.mark.no_backend
def test_reasons_are_read_from_the_messages():
    text = (
        "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
        "tensorflow/lite/micro/kernels/conv_common.cc Hybrid models are not "
        "supported on TFLite Micro.\n"
        "Node CONV_2D (number 1f) failed to prepare with status 1\n"
    )
    assert explain_refusal(text) == (
        "op CONV_2D (number 1) failed to prepare: Hybrid models are not "
        "supported on TFLite Micro."
    )
    for message, reason in (
        ("Failed to get registration from op code CUSTOM\n \n", "custom op"),
        ("Failed to resize buffer. Requested: 9", "Failed to resize buffer."),
        ("", ""),
    ):
        assert reason in explain_refusal(message)


@pytest.mark.no_backend
def test_inputs_fit_the_file():
    fixed = read_graph(micro_cases.free_batch(size=4))
    feeds = make_feeds(fixed, np.arange(15.0).reshape(5, 3), 0)
    # Two calls; the second one is filled up with samples from the beginning.
    assert feeds["x"].shape == (2, 4, 3)
    assert feeds["x"][1, :, 0].tolist() == [12.0, 0.0, 3.0, 6.0]
    for data, message in (
        (np.zeros((2, 4)), "Argument `data` must have shape"),
        (np.full((2, 3), np.nan), "free of NaN"),
        ({"z": np.zeros((2, 3))}, "Argument `data` must hold one array"),
        ({"x": np.zeros((0, 3))}, "equally many samples"),
    ):
        with pytest.raises(ValueError, match=message):
            make_feeds(fixed, data, 0)
    one, two, other = (make_feeds(fixed, None, seed)["x"] for seed in (0, 0, 1))
    assert np.array_equal(one, two) and not np.array_equal(one, other)


@pytest.mark.no_backend
def test_random_indices_are_rows_of_the_table():
    table = Tensor((3, 2), values=np.ones(6))
    file = read_graph(
        write_graphs(
            Graph(
                [table, Tensor((1, 50), "INT32"), Tensor((1, 50, 2))],
                [Op("GATHER", [0, 1], [2], "GatherOptions")],
                [1],
                [2],
            )
        )
    )
    assert set(np.unique(make_feeds(file, None, 0)["t1"])) == {0, 1, 2}
