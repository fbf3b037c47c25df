"""`keras-netopt trials`."""

import argparse
from typing import Any


def add_parser(commands: Any) -> None:
    """Adds the command."""
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
    trials.add_argument(
        "--html",
        metavar="FILE",
        help="write an HTML page with interactive plots; needs plotly",
    )
    trials.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from keras_netopt import search

    board = search.leaderboard(arguments.directory, top=arguments.top)
    print(board)
    if arguments.csv is not None:
        board.to_csv(arguments.csv)
    if arguments.plots is not None:
        search.plots(arguments.directory, folder=arguments.plots)
    if arguments.html is not None:
        print(search.report(arguments.directory, arguments.html))
