"""`keras-netopt evaluate`."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from keras_netopt.cli.model_files import check_file, load_arrays

LABELS = "y"


def add_parser(commands: Any) -> None:
    """Adds the command."""
    evaluate = commands.add_parser(
        "evaluate", help="measure the accuracy of a LiteRT file"
    )
    evaluate.add_argument("file", help="a .tflite file")
    evaluate.add_argument(
        "--data",
        metavar="FILE",
        required=True,
        help=".npz with the labels as y (of several outputs as y:NAME) and "
        "the inputs under another name, their own if there are several",
    )
    evaluate.add_argument(
        "--metric",
        metavar="NAME",
        action="append",
        help="a metric of Keras instead of the default; may be repeated",
    )
    evaluate.add_argument(
        "--batch-size", type=int, default=32, metavar="N", help="(%(default)s)"
    )
    evaluate.add_argument(
        "--json", action="store_true", help="print JSON instead of a table"
    )
    evaluate.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    check_file(arguments.file)
    x, y = _split(arguments.data, load_arrays(arguments.data))
    from keras_netopt import export

    report = export.evaluate(
        arguments.file,
        x,
        y,
        metrics=arguments.metric,
        batch_size=arguments.batch_size,
    )
    print(json.dumps(report.to_dict()) if arguments.json else report)


def _split(path: str, arrays: Any) -> tuple[Any, Any]:
    """Returns the inputs and the labels of the arrays in a file."""
    named = dict(arrays) if isinstance(arrays, Mapping) else {}
    labels: Any = {
        name.removeprefix(f"{LABELS}:"): named.pop(name)
        for name in list(named)
        if name.startswith(f"{LABELS}:")
    }
    if LABELS in named:
        labels = named.pop(LABELS)
    if not named or len(labels) == 0:
        raise ValueError(
            f"{path} must be a .npz file with the labels as `y` and the "
            "inputs, as `np.savez(path, x=x, y=y)` writes it."
        )
    return named if len(named) > 1 else next(iter(named.values())), labels
