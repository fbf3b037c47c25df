"""The findings about a model on a target, ranked and printable."""

import textwrap
from dataclasses import dataclass

from keras_netopt.advice.finding import UNSEEN, Finding
from keras_netopt.report import Report

WIDTH, LABEL = 96, 10


@dataclass(frozen=True)
class Advice(Report):
    """What makes a model smaller or faster on a target, and what does not.

    Example:

    >>> advice = Advice("net", "x86", ("24 parameters",), ())
    >>> print(advice)
    Advice for "net" on x86
    24 parameters
    No rule has anything to say.

    Args:
        name: The name of the model, or the path of the file.
        target: The target.
        facts: Size, MACs, zeros and what was measured, one line each.
        findings: The findings: problems first, then gains, cautions, and what
            could not be looked at.
    """

    name: str
    target: str
    facts: tuple[str, ...]
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        lines = [f'Advice for "{self.name}" on {self.target}', *self.facts]
        for number, finding in enumerate(self.findings, 1):
            lines += ["", *_describe(finding, number)]
        if not self.findings:
            lines.append("No rule has anything to say.")
        return "\n".join(lines)


def _describe(finding: Finding, number: int) -> list[str]:
    note = f"{UNSEEN}: " if finding.kind == UNSEEN else ""
    evidence = finding.evidence
    if finding.source:
        evidence += f": {finding.source}"
    lines = _wrap(f"{number}.", f"{note}{finding.what}", 4)
    for label, text in (
        ("why", finding.why),
        ("effect", finding.effect),
        ("evidence", evidence),
    ):
        if text:
            lines += _wrap(f"    {label}", text, 4 + LABEL)
    if finding.code:
        # Not wrapped, so that it can be copied.
        lines += [f"    {line}" for line in finding.code.splitlines()]
    return lines


def _wrap(label: str, text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=label.ljust(indent),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
