"""Report of what a student learns from its teacher."""

from dataclasses import dataclass

from keras_netopt.report import Report
from keras_netopt.tables import render

HEADERS = ("Output", "Teacher's output", "Loss", "Student", "Teacher")


@dataclass(frozen=True)
class DistillationRow:
    """One output of the student.

    Args:
        student_output: Its name.
        teacher_output: The output of the teacher that it learns from.
        kind: "softmax", "sigmoid" or "mse".
        from_logits: Whether the student's output is taken for logits.
        teacher_from_logits: Whether that of the teacher is.
    """

    student_output: str
    teacher_output: str
    kind: str
    from_logits: bool
    teacher_from_logits: bool


@dataclass(frozen=True, repr=False)
class DistillationReport(Report):
    """Which outputs are compared in a fit of `Distillation`, and how.

    Example:

    >>> row = DistillationRow("out", "out", "softmax", True, False)
    >>> print(str(DistillationReport(4.0, 0.5, (row,))).splitlines()[-1])
    Temperature 4.0, share of the distillation loss 0.5

    Args:
        temperature: The temperature of softmax and sigmoid.
        weight: Share of the distillation loss in the total loss.
        rows: One row per output that learns from the teacher.
    """

    temperature: float
    weight: float
    rows: tuple[DistillationRow, ...]

    def __str__(self) -> str:
        lines = [
            (
                row.student_output,
                row.teacher_output,
                row.kind,
                _describe(row.kind, row.from_logits),
                _describe(row.kind, row.teacher_from_logits),
            )
            for row in self.rows
        ]
        return (
            render(HEADERS, lines)
            + f"\nTemperature {self.temperature}, share of the distillation "
            f"loss {self.weight}"
        )


def _describe(kind: str, are_logits: bool) -> str:
    if kind == "mse":
        return "numbers"
    return "logits" if are_logits else "probabilities"
