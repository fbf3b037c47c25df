"""The command line: `keras-netopt demo | inspect | export | trials | ...`.

Each command is a module with `add_parser` and `run`. `--help`, `--version`,
`methods` and `trials` import no Keras.
"""

import argparse
import sys
from collections.abc import Sequence

from keras_netopt._version import __version__
from keras_netopt.cli import (
    c_array_command,
    demo_command,
    evaluate_command,
    export_command,
    inspect_command,
    methods_command,
    trials_command,
)

COMMANDS = (
    demo_command,
    inspect_command,
    export_command,
    evaluate_command,
    c_array_command,
    trials_command,
    methods_command,
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
    for module in COMMANDS:
        module.add_parser(commands)
    return parser
