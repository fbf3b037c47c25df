"""`advise`: files are measured, what cannot be read is told."""

import json
import re

import keras
import numpy as np
import pytest
from advice import models
from litert_by_hand import write_dense

import keras_netopt as netopt
from keras_netopt.advice import advise as advising
from keras_netopt.advice import model_subject, x86
from keras_netopt.advice.advise import rank_findings
from keras_netopt.advice.measured_files import host_target, measure_model
from keras_netopt.cli import inspect_command
from keras_netopt.export import Advice, Finding, advise

TARGETS = ("x86", "arm", "gpu", "browser")
ON_TENSORFLOW = pytest.mark.backend("tensorflow")


@pytest.fixture(scope="module")
def measured():
    """Advice with measured files; 90 % of the weights are zero."""
    model = models.mlp((64, 64))
    netopt.sparsity.prune(model, 0.5)
    before = model.get_weights()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(advising, "host_target", lambda: "x86")
        patch.setattr(model_subject, "host_target", lambda: "x86")
        advice = advise(model)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    return advice


def find(advice, code):
    (found,) = [one for one in advice.findings if code in one.code]
    return found


@ON_TENSORFLOW
def test_bytes_and_time_are_measured(measured):
    text = "\n".join(measured.facts)
    for form in ("float32", "dynamic", "half", "sparse"):
        assert f"{form} file: " in text
    assert " ms" in text
    for code in ('quantize="dynamic"', "ChannelPruning(0.5, score"):
        finding = find(measured, code)
        assert finding.evidence == "measured here"
        assert finding.time_ratio > 0


@ON_TENSORFLOW
def test_the_copy_with_half_of_the_channels_has_half(measured):
    """64 -> 64 -> 3 units of 8 inputs: 1,024 + kernels fall to 0.3."""
    bytes_of = dict(
        re.findall(r"^(\w+) file: ([\d,]+)", "\n".join(measured.facts), re.M)
    )
    sizes = {k: int(v.replace(",", "")) for k, v in bytes_of.items()}

    assert sizes["half"] < 0.6 * sizes["float32"]


def test_measured_speed_is_listed_first():
    """The bug: the order of the rules hides the largest gain."""
    subject = models.about(
        models.mlp(),
        measured=models.files(float32=1.0, half=0.6, dynamic=(0.3, 100_000)),
    )
    findings = [one for rule in x86.RULES for one in rule(subject)]

    ratios = [one.time_ratio for one in rank_findings(findings)]

    assert ratios[:2] == [0.3, 0.6]


@ON_TENSORFLOW
def test_the_sparse_file_is_measured_to_be_smaller(measured):
    finding = find(measured, "sparse=True")

    assert finding.evidence == "measured here"
    assert "not for speed" in finding.what
    assert "x float32" in finding.effect


@ON_TENSORFLOW
def test_advice_is_json(measured):
    plain = json.loads(json.dumps(measured.to_dict()))

    assert plain["findings"][0]["evidence"] == "measured here"
    assert isinstance(measured, Advice)
    assert all(isinstance(one, Finding) for one in measured.findings)


@ON_TENSORFLOW
def test_normalization_behind_an_activation_stays_in_the_file():
    """What the rule about it says, measured on both orders."""
    counts = {}
    for order in ("normalized first", "activated first"):
        model = models.conv_net(order)
        norm = model.get_layer("norm")
        norm.moving_mean.assign(norm.moving_mean + 0.5)
        norm.moving_variance.assign(norm.moving_variance * 0.5)
        found = measure_model(model, ("float32",), timed=False)
        ops = found.forms["float32"].ops
        counts[order] = ops.get("MUL", 0) + ops.get("ADD", 0)

    assert counts["normalized first"] == 0
    assert counts["activated first"] > 0


@ON_TENSORFLOW
def test_a_model_that_does_not_convert_raises_nothing():
    class Inverse(keras.layers.Layer):
        def call(self, x):
            return keras.ops.inv(x)

    model = keras.Sequential([keras.Input((3, 3)), Inverse(name="inverse")])

    advice = advise(model, "browser")

    assert advice.findings[0].kind == "problem"
    assert "MatrixInverse" in advice.findings[0].why


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "build",
    [models.subclassed, models.recurrent, models.free_axis, models.untraced],
)
def test_any_model_gets_advice_without_measuring(target, build):
    advice = advise(build(), target, measure=False)

    assert advice.target == target
    assert advice.findings
    text = str(advice)
    assert all(one.what.split()[0] in text for one in advice.findings)
    assert max(len(line) for line in text.splitlines()[:2]) < 100


def test_free_axes_are_named_with_the_line_that_fixes_them():
    model = models.free_axis()

    finding = advise(model, measure=False).findings[0]

    assert "free axes" in finding.why
    scope = {"netopt": netopt, "model": model}
    code = finding.code.replace('"x86", ', '"x86", measure=False, ')
    advice = eval(code, scope)
    assert not any("free axes" in one.why for one in advice.findings)


def test_a_file_gets_advice(tmp_path):
    path = write_dense(tmp_path / "net.tflite", np.eye(8, 4), np.zeros(4))

    for target in TARGETS:
        advice = advise(path, target)
        timed = target == host_target()
        assert (" ms" in advice.facts[0]) == timed
        assert "32 MACs" in advice.facts[0]
        assert advice.findings


@pytest.mark.parametrize("cut", [4, 40, 300])
def test_a_corrupted_file_is_refused(tmp_path, cut):
    path = write_dense(tmp_path / "net.tflite", np.eye(8, 4), np.zeros(4))
    content = path.read_bytes()
    path.write_bytes(content[:cut])

    with pytest.raises(ValueError, match="LiteRT"):
        advise(path)


def test_a_keras_file_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match="load_model"):
        advise("model.keras")


def test_finding_needs_evidence_and_a_source():
    with pytest.raises(ValueError, match="evidence"):
        Finding("what", "why", "effect", "guessed")
    with pytest.raises(ValueError, match="source"):
        Finding("what", "why", "effect", "documented")
    with pytest.raises(ValueError, match="kind"):
        Finding("what", "why", "effect", "unknown", kind="good")


def test_the_command_line_knows_every_target():
    assert inspect_command.TARGETS == tuple(advising.TARGETS)
