"""`keras-netopt demo`."""

import argparse
from typing import Any


def add_parser(commands: Any) -> None:
    """Adds the command."""
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
    demo.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from keras_netopt import demo

    demo.run(arguments.out, epochs=arguments.epochs, quick=arguments.quick)
