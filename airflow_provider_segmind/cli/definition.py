"""``airflow segmind``, for Airflow 3.2 and later: older versions ask no provider for commands."""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.cli.commands import COMMANDS, HELP
from airflow_provider_segmind.compat import ActionCommand, Arg, GroupCommand, lazy_load_command


def get_segmind_commands() -> list[Any]:
    """Return the commands, as the provider's metadata promises."""
    return [
        GroupCommand(
            name="segmind",
            help=HELP,
            subcommands=[
                ActionCommand(
                    name=command.name,
                    help=command.help,
                    func=lazy_load_command(f"airflow_provider_segmind.cli.running.{command.function}"),
                    args=[Arg(each.flags, **each.settings) for each in command.arguments],
                )
                for command in COMMANDS
            ],
        )
    ]
