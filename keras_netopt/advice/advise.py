"""Tells what makes a model smaller or faster on a target."""

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.advice import (
    any_file,
    any_target,
    arm,
    browser,
    gpu,
    microcontroller,
    x86,
)
from keras_netopt.advice.advice import Advice
from keras_netopt.advice.file_subject import FileSubject
from keras_netopt.advice.finding import KINDS, Finding
from keras_netopt.advice.measured_files import (
    host_target,
    measure_file,
    measure_model,
)
from keras_netopt.advice.model_subject import ModelSubject
from keras_netopt.checks import check_bool
from keras_netopt.graph.check_model import check_model
from keras_netopt.graph.symbolic import input_specs

ModelRule = Callable[[ModelSubject], Iterable[Finding]]
FileRule = Callable[[FileSubject], Iterable[Finding]]


@dataclass(frozen=True)
class TargetRules:
    """The rules of one target.

    Args:
        forms: Which files of a model are measured.
        rules: The rules about Keras models, the most important first.
        file_rules: The rules about LiteRT files.
        inspect: What is called with the path of the last form. Defaults to
            `None`.
    """

    forms: Callable[[ModelSubject], tuple[str, ...]]
    rules: tuple[ModelRule, ...]
    file_rules: tuple[FileRule, ...]
    inspect: Callable[[str], Any] | None = None


TARGETS = {
    "x86": TargetRules(x86.forms, x86.RULES, any_file.CPU),
    "arm": TargetRules(arm.forms, arm.RULES, any_file.CPU),
    "gpu": TargetRules(gpu.forms, gpu.RULES, any_file.GPU),
    "microcontroller": TargetRules(
        microcontroller.forms,
        microcontroller.RULES,
        microcontroller.FILE_RULES,
        microcontroller.inspect,
    ),
    "browser": TargetRules(browser.forms, browser.RULES, any_file.BROWSER),
}


def advise(
    model: keras.Model | str | os.PathLike[str],
    target: str = "x86",
    *,
    input_shape: Any = None,
    measure: bool = True,
    verbose: int = 0,
) -> Advice:
    """Tells what makes a model smaller or faster on a target, and what not.

    Each finding says what to do, why, with which effect, and with which
    evidence: measured on this model in this call, documented, or unknown.
    Effects that are neither measured nor documented are not promised. The
    model is not modified.

    With `measure=True` LiteRT files of the model are written to a temporary
    folder, float32, int8 weights, and what else the target's rules ask for,
    and their bytes are counted. They are timed in turn, on one thread, if
    this machine is the target; other targets are never timed. The files are
    not verified: `to_litert` does that.

    A model whose graph or MACs cannot be read, or that LiteRT does not
    convert, raises nothing: a finding says what was not looked at.

    Example:

    >>> import keras
    >>> from keras_netopt.export import advise
    >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
    >>> advice = advise(model, "gpu", measure=False)
    >>> print(advice.findings[0].what)
    In Keras, train and serve in mixed precision.

    Args:
        model: A built Keras model of any kind, or the path of a `.tflite`
            file.
        target: `"x86"`, `"arm"`, `"gpu"`, `"microcontroller"` or
            `"browser"`. Defaults to `"x86"`.
        input_shape: The shape of a typical input, batch axis included, for
            models with free axes, as in `cost.summarize`. Defaults to
            `None`.
        measure: Whether files are written, measured and timed: seconds for a
            small model, a minute for a large one. Defaults to `True`.
        verbose: 1 prints to stderr what is being measured. Defaults to `0`.

    Returns:
        The advice; `print(advice)` shows it.

    Raises:
        TypeError: If `model` is neither a Keras model nor a path.
        ValueError: If the model is not built, the file is not a whole LiteRT
            file, `target` is unknown, or `input_shape` does not match.
        OSError: If the file cannot be read.
    """
    check_bool(measure, "measure")
    if target not in TARGETS:
        raise ValueError(
            f"Argument `target` must be one of {', '.join(map(repr, TARGETS))}."
            f" Received: target={target!r}"
        )
    if verbose not in (0, 1):
        raise ValueError(
            f"Argument `verbose` must be 0 or 1. Received: verbose={verbose!r}"
        )
    tell = _tell if verbose else lambda text: None
    if isinstance(model, str | os.PathLike):
        return _advise_file(os.fspath(model), target, measure, tell)
    check_model(model)
    if input_shape is not None:
        input_specs(model, input_shape=input_shape)  # Checks the shapes.
    return _advise_model(model, target, input_shape, measure, tell)


def _advise_model(
    model: keras.Model,
    target: str,
    input_shape: Any,
    measure: bool,
    tell: Callable[[str], None],
) -> Advice:
    chosen = TARGETS[target]
    subject = ModelSubject(model, target, input_shape)
    tell("counting MACs and zeros")
    facts = subject.describe()
    if measure and not subject.free_axes:
        subject.files = measure_model(
            model,
            chosen.forms(subject),
            timed=target == host_target(),
            input_shape=input_shape,
            tell=tell,
            inspect=chosen.inspect,
        )
        facts = subject.describe()
    findings = [one for rule in chosen.rules for one in rule(subject)]
    return Advice(model.name, target, facts, rank_findings(findings))


def _advise_file(
    path: str, target: str, measure: bool, tell: Callable[[str], None]
) -> Advice:
    subject = FileSubject(path, target)
    if not path.endswith(".tflite"):
        raise ValueError(
            "Argument `model` must be a Keras model or the path of a .tflite "
            f"file. Received: model={path!r}. Load a .keras file with "
            "`keras.saving.load_model` and pass the model."
        )
    _ = subject.report  # Raises an error if it is no LiteRT file.
    chosen = TARGETS[target]
    timed = target == host_target()
    if measure and (timed or chosen.inspect is not None):
        tell("measuring the file")
        subject.files = measure_file(path, timed, chosen.inspect)
    rules = chosen.file_rules
    findings = [one for rule in rules for one in rule(subject)]
    return Advice(path, target, subject.describe(), rank_findings(findings))


def rank_findings(findings: list[Finding]) -> tuple[Finding, ...]:
    """Sorts by kind, measured speed first; then the order of the rules."""

    def place(one: Finding) -> tuple[int, float]:
        ratio = one.time_ratio
        is_fast = ratio is not None and ratio < any_target.SAME[0]
        return KINDS.index(one.kind), ratio if is_fast and ratio else 1.0

    return tuple(sorted(findings, key=place))


def _tell(text: str) -> None:
    print(f"advise: {text}", file=sys.stderr, flush=True)
