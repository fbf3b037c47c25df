"""Measures the files of one case."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.micro.cases import Case
from keras_netopt.export import micro_report


def measure(case: Case, folder: Path) -> Iterator[dict[str, Any]]:
    """Yields the numbers of each file, or why none was written."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            files = list(case.write_files(folder))
    # The converter refuses some forms of some networks.
    except ValueError as error:
        yield {"file": "", "failed": str(error)[:200]}
        return
    for path, data in files:
        report = micro_report(path, data=data)
        run = report.run
        yield {
            "file": path.stem,
            "bytes": report.file_bytes,
            "weights": report.weight_bytes,
            "planned": report.activation_bytes,
            "problems": report.problems,
            "status": run.status,
            "reason": run.reason,
            "samples": run.samples,
            "source": run.source,
            "head": run.head,
            "tail": run.tail,
            "max_abs_diff": run.max_abs_diff,
            "max_rel_diff": max(
                (one.max_rel_diff for one in run.outputs), default=None
            ),
            "quanta": run.max_quanta,
        }
