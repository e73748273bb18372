"""The commands and their arguments, as values: ``airflow segmind`` and ``python -m`` have the same."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_segmind.api.checks import check_model, check_request_id
from airflow_provider_segmind.arguments import DEFAULT_MAX_OUTPUT_BYTES
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.hooks.names import DEFAULT_CONNECTION_ID

LONGEST_PERIOD = 31
MOST_REQUESTS = 100

HELP = "Look at Segmind's models, requests and credits, and fetch the output of a paid request; submits nothing"


@dataclass(frozen=True)
class Argument:
    """
    An argument of a command.

    :param flags: Its names.
    :param settings: The arguments of ``ArgumentParser.add_argument``.
    """

    flags: tuple[str, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Command:
    """
    A command.

    :param function: The name of the function in ``cli.running`` that carries it out.
    """

    name: str
    function: str
    help: str
    arguments: Sequence[Argument] = ()


def _argument(*flags: str, **settings: Any) -> Argument:
    return Argument(flags, settings)


def _checked(check: Callable[[object], str]) -> Callable[[str], str]:
    """Return what argparse takes as a type: its error is one of usage."""

    def read(text: str) -> str:
        try:
            return check(text)
        except InvalidParameterError as error:
            raise argparse.ArgumentTypeError(error.problem) from None

    return read


def _whole_number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}")

    return read


_SHARED = (
    _argument(
        "--conn-id",
        default=DEFAULT_CONNECTION_ID,
        help=f"the Airflow connection of the type segmind (default {DEFAULT_CONNECTION_ID})",
    ),
    _argument("--json", action="store_true", help="write JSON in place of a table"),
)

COMMANDS = (
    Command(
        "models",
        "show_models",
        "List the models of Segmind's catalogue",
        (
            _argument("--contains", default="", metavar="TEXT", help="only models with this in their slug"),
            *_SHARED,
        ),
    ),
    Command(
        "model",
        "show_model",
        "Show the parameters of a model",
        (_argument("slug", type=_checked(check_model), help="such as kling-o1-image-to-video"), *_SHARED),
    ),
    Command(
        "requests",
        "show_requests",
        "List the account's requests, the newest first; in a team, also those of teammates",
        (
            _argument("--model", help="only requests to models with this in their slug"),
            _argument("--status", choices=("COMPLETED", "FAILED", "PENDING"), help="only requests in this state"),
            _argument(
                "--days",
                type=_whole_number(1, LONGEST_PERIOD),
                default=7,
                help="how far to look back (default 7, most 31)",
            ),
            _argument(
                "--limit",
                type=_whole_number(1, MOST_REQUESTS),
                default=20,
                help="how many requests to list (default 20, most 100)",
            ),
            *_SHARED,
        ),
    ),
    Command(
        "request",
        "show_request",
        "Show a request, and fetch its output",
        (
            _argument("request_id", type=_checked(check_request_id), help="its id, as a task's message has it"),
            _argument(
                "--download",
                metavar="PATH",
                help="store its output in this file, or in this folder if it ends with a slash; "
                "no file is replaced",
            ),
            _argument(
                "--max-output-bytes",
                type=_whole_number(1, 2**62),
                default=DEFAULT_MAX_OUTPUT_BYTES,
                help="how large all files together may be (default 2 GiB)",
            ),
            *_SHARED,
        ),
    ),
    Command("credits", "show_credits", "Show the account's balance in USD", _SHARED),
)
