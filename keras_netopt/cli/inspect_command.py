"""`keras-netopt inspect`."""

import argparse
from typing import Any

from keras_netopt.cli.model_files import load_model


def add_parser(commands: Any) -> None:
    """Adds the command."""
    inspect = commands.add_parser(
        "inspect", help="show the cost and the sparsity of a model"
    )
    inspect.add_argument("model", help="a .keras file")
    inspect.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from keras_netopt import cost, sparsity

    model = load_model(arguments.model)
    print(cost.summarize(model))
    print()
    print(sparsity.report(model))
