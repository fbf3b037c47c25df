"""Rules about models on microcontrollers (TensorFlow Lite Micro)."""

from collections.abc import Iterator
from typing import Any

from keras_netopt.advice import any_file, any_target, layer_rules
from keras_netopt.advice.finding import Finding
from keras_netopt.advice.measured_files import INTEGER_IO
from keras_netopt.advice.model_subject import ModelSubject

Findings = Iterator[Finding]


def forms(subject: ModelSubject) -> tuple[str, ...]:
    """The files to measure."""
    return (INTEGER_IO,)


def inspect(path: str) -> Any:
    """Checks a file for TensorFlow Lite Micro."""
    return None


RULES = (
    any_target.explain_missing_file,
    any_target.remove_channels,
    layer_rules.cut_heavy_layers,
)
FILE_RULES = (any_file.replace_flex_ops,)
