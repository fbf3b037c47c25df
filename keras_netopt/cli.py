"""The command line: `keras-netopt demo | inspect | export | trials | ...`.

`--help`, `--version`, `methods` and `trials` import no Keras.
"""

import argparse
import difflib
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_netopt import registry, tables
from keras_netopt._version import __version__

if TYPE_CHECKING:
    import keras

QUANTIZE = ("dynamic", "int8", "int16x8", "float16")
NEEDS_DATA = ("int8", "int16x8")
KINDS = (
    *("callback", "layer", "loss", "schedule", "function"),
    *("oracle", "stopper", "tuner", "executor"),
)
USER_ERROR = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Example:

    >>> main(["methods", "PrecheltStopping"])
    # Early stopping
    ...
    0

    Args:
        argv: The arguments after the program's name. Defaults to `None`:
            the arguments of this process.

    Returns:
        The exit status: 0, 2 after invalid input, 130 after Ctrl-C.
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        # A terminal that cannot draw a table's lines shows "?" instead.
        reconfigure(errors="replace")
    arguments = _parser().parse_args(argv)
    try:
        arguments.command(arguments)
    except (ValueError, OSError, ImportError) as error:
        print(f"keras-netopt: error: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("keras-netopt: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-netopt",
        description="Smaller and faster networks from Keras 3 models.",
    )
    parser.add_argument(
        "--version", action="version", version=f"keras-netopt {__version__}"
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_demo(commands)
    _add_inspect(commands)
    _add_export(commands)
    _add_trials(commands)
    _add_methods(commands)
    return parser


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser(
        "demo", help="prune a small CNN on real images, export it to LiteRT"
    )
    demo.add_argument(
        "--out",
        metavar="DIR",
        default="demo-output",
        help="folder for the files and the plot (%(default)s)",
    )
    demo.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="epochs before pruning, and again with it",
    )
    demo.add_argument(
        "--quick",
        action="store_true",
        help="one epoch on 600 images, a smoke test",
    )
    demo.set_defaults(command=_demo)


def _add_inspect(commands: Any) -> None:
    inspect = commands.add_parser(
        "inspect", help="show the cost and the sparsity of a model"
    )
    inspect.add_argument("model", help="a .keras file")
    inspect.set_defaults(command=_inspect)


def _add_export(commands: Any) -> None:
    export = commands.add_parser(
        "export", help="write a LiteRT file and verify it against the model"
    )
    export.add_argument("model", help="a .keras file")
    export.add_argument("output", help="the .tflite file to write")
    export.add_argument(
        "--quantize", choices=QUANTIZE, help="how numbers are stored"
    )
    export.add_argument(
        "--sparse", action="store_true", help="store zeros in a sparse format"
    )
    export.add_argument(
        "--calibration-data",
        metavar="FILE",
        help=".npy or .npz with about 100 real inputs, for int8 and int16x8; "
        "an .npz of several arrays names the model's inputs",
    )
    export.set_defaults(command=_export)


def _add_trials(commands: Any) -> None:
    trials = commands.add_parser(
        "trials", help="list the trials of a KerasTuner project, best first"
    )
    trials.add_argument("directory", help="the project folder")
    trials.add_argument(
        "--top", type=int, metavar="N", help="show the best N only"
    )
    trials.add_argument("--csv", metavar="FILE", help="write all of them")
    trials.add_argument(
        "--plots", metavar="DIR", help="write plots and tables to DIR"
    )
    trials.set_defaults(command=_trials)


def _add_methods(commands: Any) -> None:
    methods = commands.add_parser(
        "methods", help="list all methods, or show how to use one"
    )
    methods.add_argument(
        "name",
        nargs="?",
        help="a method or its card, such as Pruning: shows its usage",
    )
    methods.add_argument(
        "--kind", choices=KINDS, help="list methods of this kind only"
    )
    methods.set_defaults(command=_methods)


def _demo(arguments: argparse.Namespace) -> None:
    from keras_netopt import demo

    demo.run(arguments.out, epochs=arguments.epochs, quick=arguments.quick)


def _inspect(arguments: argparse.Namespace) -> None:
    from keras_netopt import cost, sparsity

    model = _load(arguments.model)
    print(cost.summarize(model))
    print()
    print(sparsity.report(model))


def _export(arguments: argparse.Namespace) -> None:
    from keras_netopt import export

    file = arguments.calibration_data
    if arguments.quantize in NEEDS_DATA and file is None:
        raise ValueError(
            f"--quantize {arguments.quantize} measures the range of each "
            "activation on real inputs: add --calibration-data samples.npy, "
            "or use --quantize dynamic, which needs none."
        )
    data = None if file is None else _load_data(file)
    model = _load(arguments.model)
    with warnings.catch_warnings():
        # The report holds them all.
        warnings.simplefilter("ignore", UserWarning)
        report = export.to_litert(
            model,
            arguments.output,
            quantize=arguments.quantize,
            sparse=arguments.sparse,
            calibration_data=data,
        )
    print(report)
    for warning in report.warnings:
        print(f"keras-netopt: warning: {warning}", file=sys.stderr)


def _trials(arguments: argparse.Namespace) -> None:
    from keras_netopt import search

    board = search.leaderboard(arguments.directory, top=arguments.top)
    print(board)
    if arguments.csv is not None:
        board.to_csv(arguments.csv)
    if arguments.plots is not None:
        search.plots(arguments.directory, folder=arguments.plots)


def _methods(arguments: argparse.Namespace) -> None:
    if arguments.name is not None:
        print(_usage(arguments.name))
        return
    drawn = []
    for kind in KINDS if arguments.kind is None else (arguments.kind,):
        rows = [
            [row.name, row.summary]
            for row in registry.METHODS
            if row.kind == kind
        ]
        if rows:
            headers = [f"{kind}: keras_netopt.", "purpose"]
            drawn.append(tables.render(headers, rows))
    print("\n".join(drawn))


def _usage(name: str) -> str:
    """Returns a card up to its section on how the method works."""
    cards: dict[str, str] = {}
    for row in registry.METHODS:
        names = (row.name, row.short_name, row.card)
        cards |= {key.lower(): row.card for key in names if key and row.card}
    if name.lower() not in cards:
        near = difflib.get_close_matches(name.lower(), cards)
        hint = f"Nearest: {', '.join(near)}. " if near else ""
        raise ValueError(
            f"There is no method or card {name!r}. {hint}`keras-netopt "
            "methods` lists all of them."
        )
    file = resources.files("keras_netopt") / "cards"
    if not file.is_dir():  # The source tree keeps the cards in docs.
        file = Path(__file__).parents[1] / "docs" / "methods"
    text = (file / f"{cards[name.lower()]}.md").read_text(encoding="utf-8")
    return text.partition("\n## How it works")[0].rstrip()


def _load(path: str) -> "keras.Model":
    import keras

    _check_file(path)
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise ValueError(
            f"{path} cannot be loaded as a Keras model: {_reason(error)}. "
            "(A model with custom classes loads only where they are imported: "
            "use the Python functions there.)"
        ) from error


def _reason(error: Exception) -> str:
    """Returns the sentence of Keras' long message that names the cause."""
    cause = str(error).rpartition("Exception encountered: ")[2].strip()
    return cause.split("\n")[0].split(". ")[0].rstrip(".")


def _load_data(path: str) -> Any:
    import numpy as np

    _check_file(path)
    try:
        data = np.load(path)
    except ValueError as error:
        raise ValueError(
            f"{path} is not a .npy or .npz file of arrays."
        ) from error
    if isinstance(data, np.ndarray):
        return data
    arrays = {name: data[name] for name in data.files}
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def _check_file(path: str) -> None:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {path}")
