"""The command line on every Airflow: ``python -m airflow_provider_segmind``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib import import_module

from airflow_provider_segmind.cli.commands import COMMANDS, HELP


def main() -> None:
    """Carry a command out. Exits with 1 after an error, and with 2 after wrong usage."""
    options = read_arguments()
    running = import_module("airflow_provider_segmind.cli.running")  # it takes seconds: not for wrong usage
    # Airflow logs to the standard output, which is for what was asked for.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s", force=True)
    getattr(running, options.function)(options)


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments of a command, and in ``function`` the name of what carries it out."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_segmind", description=f"{HELP}.")
    groups = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        sub = groups.add_parser(command.name, help=command.help, description=f"{command.help}.")
        sub.set_defaults(function=command.function)
        for each in command.arguments:
            sub.add_argument(*each.flags, **each.settings)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
