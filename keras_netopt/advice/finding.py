"""One piece of advice, with its evidence."""

from dataclasses import dataclass

from keras_netopt.report import Report

MEASURED, DOCUMENTED, UNKNOWN = "measured here", "documented", "unknown"
EVIDENCE = (MEASURED, DOCUMENTED, UNKNOWN)
# The order in which findings are listed.
PROBLEM, GAIN, CAUTION, UNSEEN = KINDS = (
    "problem",
    "gain",
    "caution",
    "not looked at",
)


@dataclass(frozen=True)
class Finding(Report):
    """One piece of advice about a model on a target.

    Example:

    >>> finding = Finding(
    ...     what="Export int8 weights.",
    ...     why="Kernels take a quarter of the bytes.",
    ...     effect="1,068 kB to 278 kB.",
    ...     evidence="measured here",
    ...     source="two files of this model",
    ...     code='netopt.export.to_litert(model, "m.tflite", '
    ...     'quantize="dynamic")',
    ... )
    >>> finding.kind
    'gain'

    Args:
        what: What to do, or what not to expect.
        why: The reason, with facts of this model.
        effect: The effect to expect, in numbers where there are some.
        evidence: `"measured here"`: on this model, in this call;
            `"documented"`: at `source`; or `"unknown"`.
        source: What was measured, or a URL or a page of this repository.
        code: The line to type; `""` where there is none. Defaults to `""`.
        kind: `"problem"` (comes first: the model does not run there, or
            cannot be judged), `"gain"`, `"caution"` or `"not looked at"`.
            Defaults to `"gain"`.
        time_ratio: Time over that of the float32 file, where it was measured.
            Defaults to `None`.

    Raises:
        ValueError: If the evidence or the kind is unknown, or measured and
            documented evidence has no source.
    """

    what: str
    why: str
    effect: str
    evidence: str
    source: str = ""
    code: str = ""
    kind: str = GAIN
    time_ratio: float | None = None

    def __post_init__(self) -> None:
        for name, known in (("evidence", EVIDENCE), ("kind", KINDS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"Argument `{name}` must be one of {known}. "
                    f"Received: {name}={getattr(self, name)!r}"
                )
        if self.evidence != UNKNOWN and not self.source:
            raise ValueError(
                "Argument `source` must be given for evidence "
                f"{self.evidence!r}. Received: source=''"
            )
