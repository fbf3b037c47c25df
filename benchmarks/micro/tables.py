"""Markdown tables of the files in TFLite Micro, made from their JSON alone."""

from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load

NAME = "micro"
VERSIONS = ("keras", "tensorflow", "ai-edge-litert", "tflite-micro")
Row = dict[str, Any]


def file_table() -> str:
    """Returns one line per file."""
    content = load(NAME)
    head = [
        "network",
        "form",
        "file bytes",
        "activations: planned",
        "recorded",
        "structs, 64 bits",
        "in TFLite Micro",
    ]
    rows = content["rows"]
    nets = list(dict.fromkeys(row["net"] for row in rows))
    body = []
    before = None
    for row in sorted(rows, key=lambda one: nets.index(one["net"])):
        form = row["form"]
        if row["file"] not in ("", "m"):
            form += f", `{row['file']}`"
        net = "" if row["net"] == before else row["net"]
        before = row["net"]
        if "failed" in row:
            body.append([net, form, "-", "-", "-", "-", "not converted"])
            continue
        counts = (row[k] for k in ("bytes", "planned", "head", "tail"))
        body.append([net, form, *map(_count, counts), _result(row)])
    used = {row["run"] for row in content["rows"]}
    versions = {
        ", ".join(f"{name} {run['environment'][name]}" for name in VERSIONS)
        for number, run in enumerate(content["runs"])
        if number in used
    }
    return f"{markdown(head, body)}\n\nVersions: {'; '.join(sorted(versions))}."


def summary_table() -> str:
    """Returns counts over all files."""
    rows = [row for row in load(NAME)["rows"] if "failed" not in row]
    ran = [row for row in rows if row["status"] == "ran"]
    refused = [row for row in rows if row["status"] != "ran"]
    equal = [row for row in ran if row["planned"] == row["head"]]
    floats = [row for row in ran if row["quanta"] is None]
    quanta = [row["quanta"] for row in ran if row["quanta"] is not None]
    predicted = [row for row in refused if row["problems"]]
    wrong = [row for row in ran if row["problems"]]
    body = [
        ["files that run", f"{len(ran)} of {len(rows)}"],
        ["planned bytes equal to the recorded ones", _of(equal, ran)],
        [
            "refused files whose problem was named before",
            _of(predicted, refused),
        ],
        ["files that run although a problem was named", _of(wrong, ran)],
        [
            "largest difference of float files",
            f"{max(row['max_rel_diff'] for row in floats):.1g} x the largest "
            "output",
        ],
        [
            "difference of integer files",
            f"at most 1 quantum in {sum(q <= 1 for q in quanta)} of "
            f"{len(quanta)}, at most {max(quanta):g}",
        ],
    ]
    return markdown(["", "result"], body)


def _of(some: list[Row], all_: list[Row]) -> str:
    return f"{len(some)} of {len(all_)}"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _result(row: Row) -> str:
    if row["status"] != "ran":
        reason = row["reason"].replace("|", "\\|")
        return f"{row['status']}: {reason}"
    if row["quanta"] is None:
        return f"runs, {row['max_abs_diff']:.0e}"
    unit = "quantum" if row["quanta"] == 1 else "quanta"
    return f"runs, {row['quanta']:g} {unit}"


TABLES: dict[str, Callable[[], str]] = {
    "micro summary": summary_table,
    "micro files": file_table,
}
