"""Each rule speaks where it should, is silent elsewhere, and has a source."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from advice import models
from advice.models import about, files
from litert_by_hand import write_dense

from keras_netopt.advice import (
    any_file,
    any_target,
    arm,
    browser,
    gpu,
    layer_rules,
    microcontroller,
    sources,
    x86,
)
from keras_netopt.advice.advise import TARGETS
from keras_netopt.advice.file_subject import FileOp
from keras_netopt.advice.finding import DOCUMENTED, KINDS, MEASURED
from keras_netopt.cost.tflite_model import TensorInfo
from keras_netopt.cost.tflite_weights import StoredWeight
from keras_netopt.export import FileBreakdown, FileReport, FileSize
from keras_netopt.export.micro.micro_run import MicroRun
from keras_netopt.export.micro_report import MicroReport
from keras_netopt.quantization import quantize

ROOT = Path(__file__).parents[2]


def rounded(bits):
    model = models.mlp()
    quantize(model, bits=bits)
    return model


def a_file(ops=None, inputs=(), weights=(), kernel_ops=(), **fields):
    """A file that exists in the tests only."""
    subject = models.about_file("net.tflite", **fields)
    size = FileSize(1000, 400)
    subject.report = FileReport(
        "net.tflite", size, FileBreakdown(), ops or {}, inputs, (), ()
    )
    subject.weights, subject.kernel_ops = list(weights), list(kernel_ops)
    return subject


def micro(status="ran", problems=(), activations=1000):
    """What `export.micro_report` says about a file."""
    failed = status in ("refused", "ended")
    run = MicroRun(status, "no" if status != "ran" else None, "0.dev1")
    report = MicroReport(
        "m.tflite",
        "0.dev1",
        {"ADD": 1},
        run,
        problems=tuple(problems),
        file_bytes=5000,
        activation_bytes=activations,
    )
    assert report.run.has_failed == failed
    form = "int8, integer inputs and outputs"
    found = files(**{form: None}, clock="")
    return dataclasses.replace(found, inspection=report)


def weight(dtype, zeros=0):
    values = np.ones(10, "int8")
    values[:zeros] = 0
    scales = np.ones(1, "float32")
    readers = (("ADD", "y"),)
    return StoredWeight("w", dtype, (10, 1), 10, values, scales, 0, readers)


def eight_ops(largest):
    return [FileOp(f"op{k}", "CONV_2D", 1) for k in range(8)] + [
        FileOp("large", "CONV_2D", largest)
    ]


FLOATS, INTEGERS = [weight("FLOAT32")], [weight("INT8")]
MEASURED_FORMS = {
    "float32": 1.0,
    "dynamic": (0.5, 100_000),
    "half": 0.4,
    "sparse": 1.0,
    "int4": 1.2,
}
# One subject that makes the rule speak, one that leaves it silent.
CASES = {
    any_target.fix_free_axes: (
        lambda: about(models.free_axis()),
        lambda: about(models.mlp()),
    ),
    any_target.explain_missing_file: (
        lambda: about(models.mlp(), measured=files({"float32": "no"})),
        lambda: about(models.mlp(), measured=files(float32=1.0)),
    ),
    any_target.explain_unknown_layers: (
        lambda: about(models.untraced()),
        lambda: about(models.subclassed()),
    ),
    any_target.remove_channels: (
        lambda: about(models.mlp()),
        None,  # Says why, where it cannot; see test_any_target.py.
    ),
    any_target.quantize_weights: (
        lambda: about(models.mlp()),
        lambda: about(
            models.mlp(), measured=files(float32=1.0, dynamic=(1.0, 399_000))
        ),
    ),
    layer_rules.cut_heavy_layers: (
        lambda: about(models.deep_mlp()),
        lambda: about(models.deep_mlp(heavy=8)),
    ),
    layer_rules.store_embeddings: (
        lambda: about(models.embedding(1000)),
        lambda: about(models.embedding(5)),
    ),
    layer_rules.add_early_exits: (
        lambda: about(models.classifier()),
        lambda: about(models.classifier(width=2)),
    ),
    layer_rules.store_half_precision: (
        lambda: about(models.conv_net(dtype="mixed_float16")),
        lambda: about(models.conv_net()),
    ),
    layer_rules.fuse_batch_norm: (
        lambda: about(models.conv_net("fused")),
        lambda: about(models.conv_net()),
    ),
    layer_rules.fix_recurrent_batch: (
        lambda: about(models.recurrent()),
        lambda: about(models.recurrent(batch=2)),
    ),
    x86.quantize_activations: (
        lambda: about(models.mlp(), measured=files(float32=1.0, int8=0.5)),
        lambda: about(
            models.mlp(), measured=files(float32=1.0, int8=0.5, dynamic=0.4)
        ),
    ),
    x86.prune_for_download: (
        lambda: about(models.mlp()),
        lambda: about(models.mlp(zeros=True)),
    ),
    x86.store_zeros: (
        lambda: about(models.mlp(zeros=True)),
        lambda: about(models.mlp()),
    ),
    x86.decode_low_bits: (
        lambda: about(rounded(4)),
        lambda: about(rounded(8)),
    ),
    arm.infer_sparsely: (
        lambda: about(models.sparse_chain(), "arm"),
        lambda: about(models.sparse_chain(channels=1), "arm"),
    ),
    arm.explain_broken_chain: (
        lambda: about(models.sparse_chain(channels=1), "arm"),
        lambda: about(models.sparse_chain(), "arm"),
    ),
    gpu.remove_channels: (lambda: about(models.mlp(), "gpu"), None),
    gpu.fill_tiles: (
        lambda: about(models.mlp((12, 12)), "gpu"),
        lambda: about(models.mlp((16, 24)), "gpu"),
    ),
    gpu.compute_in_half: (
        lambda: about(models.conv_net(), "gpu"),
        lambda: about(models.conv_net(dtype="mixed_float16"), "gpu"),
    ),
    gpu.store_float16: (lambda: about(models.mlp(), "gpu"), None),
    gpu.doubt_zeros: (lambda: about(models.mlp(), "gpu"), None),
    gpu.keep_two_of_four: (lambda: about(models.mlp(), "gpu"), None),
    browser.fix_batch: (lambda: about(models.mlp(), "browser"), None),
    browser.change_inputs: (
        lambda: about(models.typed("int64"), "browser"),
        lambda: about(models.typed("int32"), "browser"),
    ),
    browser.quantize_for_download: (
        lambda: about(models.mlp(), "browser"),
        lambda: about(
            models.mlp(), measured=files(float32=1.0, dynamic=(1.0, 100_000))
        ),
    ),
    browser.compare_runtime: (
        lambda: about(models.mlp(), measured=files(float32=1.0)),
        lambda: about(models.mlp(), measured=files(float32=(1.0, 9_000_000))),
    ),
    microcontroller.repair_file: (
        lambda: about(models.mlp(), measured=micro(problems=("no GELU",))),
        lambda: about(models.mlp(), measured=micro()),
    ),
    microcontroller.explain_failed_run: (
        lambda: about(models.mlp(), measured=micro(status="refused")),
        lambda: about(models.mlp(), measured=micro()),
    ),
    microcontroller.install_runtime: (
        lambda: about(models.mlp(), measured=micro(status="not made")),
        lambda: about(models.mlp(), measured=micro()),
    ),
    microcontroller.export_integers: (lambda: about(models.mlp()), None),
    microcontroller.shrink_activations: (
        lambda: about(models.classifier(), measured=micro(activations=10**6)),
        lambda: about(models.classifier(), measured=micro(activations=1000)),
    ),
    microcontroller.drop_zeros: (
        lambda: about(models.mlp(zeros=True)),
        lambda: about(models.mlp()),
    ),
    microcontroller.write_array: (
        lambda: a_file(measured=micro()),
        lambda: a_file(measured=micro(problems=("no GELU",))),
    ),
    microcontroller.convert_again: (
        lambda: a_file(weights=FLOATS, measured=micro()),
        lambda: a_file(weights=INTEGERS, measured=micro()),
    ),
    any_file.replace_flex_ops: (
        lambda: a_file({"FlexErf": 1}),
        lambda: a_file({"ADD": 1}),
    ),
    any_file.explain_no_run: (
        lambda: a_file(measured=files({"latency": "no"})),
        lambda: a_file(measured=files(file=1.0)),
    ),
    any_file.begin_with_heavy_ops: (
        lambda: a_file(kernel_ops=eight_ops(100)),
        lambda: a_file(kernel_ops=eight_ops(1)),
    ),
    any_file.quantize_again: (
        lambda: a_file(weights=FLOATS),
        lambda: a_file(weights=INTEGERS),
    ),
    any_file.compress_zeros: (
        lambda: a_file(weights=[weight("INT8", zeros=6)]),
        lambda: a_file(weights=[weight("INT8", zeros=4)]),
    ),
    any_file.expect_slow_decoding: (
        lambda: a_file(weights=[weight("INT4")]),
        lambda: a_file(weights=INTEGERS),
    ),
    any_file.pass_the_model: (lambda: a_file(), None),
    any_file.fix_web_shapes: (
        lambda: a_file(inputs=[TensorInfo("x", (None, 2), "float32")]),
        lambda: a_file(inputs=[TensorInfo("x", (1, 2), "float32")]),
    ),
    any_file.fix_web_types: (
        lambda: a_file(inputs=[TensorInfo("x", (1, 2), "int8")]),
        lambda: a_file(inputs=[TensorInfo("x", (1, 2), "uint8")]),
    ),
    any_file.store_half: (
        lambda: a_file(weights=FLOATS),
        lambda: a_file(weights=INTEGERS),
    ),
}
RULES = {
    rule: None
    for target in TARGETS.values()
    for rule in (*target.rules, *target.file_rules)
}


def test_every_rule_is_tested():
    assert {rule.__name__ for rule in RULES} == {r.__name__ for r in CASES}


@pytest.mark.parametrize("rule", CASES, ids=lambda rule: rule.__name__)
def test_rule_speaks_and_is_silent(rule):
    speaks, silent = CASES[rule]

    found = list(rule(speaks()))

    assert found
    for finding in found:
        check(finding)
    assert silent is None or list(rule(silent())) == []


@pytest.mark.parametrize("rule", CASES, ids=lambda rule: rule.__name__)
def test_rule_says_measured_only_of_what_was_measured(rule):
    """Without files no time or byte of a file is a measurement."""
    subject = CASES[rule][0]()
    if subject.files is not None or any_file.__name__ == rule.__module__:
        return

    for finding in rule(subject):
        assert finding.time_ratio is None
        if finding.evidence == MEASURED:
            assert "counted" in finding.source


def check(finding):
    """A finding names its source, its code compiles, its page exists."""
    assert finding.kind in KINDS
    code = finding.code.replace("gzip -9 -k ", "").replace("pip install ", "")
    compile(code.replace("net.tflite", "net"), "code", "exec")
    if finding.evidence == DOCUMENTED:
        for source in finding.source.split(", "):
            is_page = source.startswith("docs/") and (ROOT / source).is_file()
            assert is_page or source.startswith("https://")


def test_every_page_of_the_sources_exists():
    pages = [v for v in vars(sources).values() if str(v).startswith("docs/")]
    assert pages
    missing = [page for page in pages if not (ROOT / page).exists()]
    assert missing == []


def test_no_finding_on_x86_promises_speed_by_zeros(tmp_path):
    """The bug: pruning is sold as faster where it is not."""
    for model in (models.mlp(), models.mlp(zeros=True)):
        subject = about(model, measured=files(**MEASURED_FORMS))
        for rule in x86.RULES:
            for finding in rule(subject):
                if "Pruning(" in finding.code.replace("ChannelPruning(", ""):
                    assert "not for speed" in finding.what
                    assert "no change" in finding.effect
                if "sparse" in finding.code:
                    assert "not for speed" in finding.what


def test_other_targets_are_never_timed():
    """The bug: a time of this x86 machine is shown as that of a phone."""
    for target, rules in TARGETS.items():
        if target in ("x86", "microcontroller"):
            continue
        subject = about(
            models.mlp(), target, measured=files(float16=1.0, **MEASURED_FORMS)
        )
        texts = [str(one.to_dict()) for r in rules.rules for one in r(subject)]
        texts += subject.describe()
        assert not any(re.search(r"\d ms\b", text) for text in texts)
        found = [one for r in rules.rules for one in r(subject)]
        assert {one.time_ratio for one in found} == {None}


def test_rules_about_files_read_a_real_file(tmp_path):
    path = write_dense(tmp_path / "net.tflite", np.eye(8, 4), np.zeros(4))
    subject = models.about_file(path, "browser")

    found = [one.what for rule in any_file.BROWSER for one in rule(subject)]

    assert subject.kernel_ops[0].macs == 32
    assert subject.sparsity == 28 / 32
    assert any('target="web"' in what for what in found)
    assert any("int8" in what for what in found)
