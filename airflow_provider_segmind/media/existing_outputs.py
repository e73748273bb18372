"""What becomes of a task whose output is there before it begins: ``if_output_exists`` says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_segmind.api.text import safe_text
from airflow_provider_segmind.exceptions import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_segmind.media.stored import ExistingOutput


def check_existing(found: Sequence[ExistingOutput], if_output_exists: str, consequence: str) -> None:
    """
    Check that no output is there which must not be.

    :param found: The files that are there.
    :param consequence: What the error says about the task, such as "nothing was submitted".
    :raises InvalidParameterError: With ``"error"``, if there is one.
    """
    if found and if_output_exists == "error":
        raise InvalidParameterError(
            "output_path",
            f'{safe_text(found[0].path)} is there already, and if_output_exists is "error": {consequence}. '
            "Remove it, or choose another name",
        )


def paths_of(outputs: Sequence[ExistingOutput]) -> str | list[str]:
    """Return what a task returns that keeps its output: the path of the file, or a list of several."""
    paths = [each.path for each in outputs]
    return paths[0] if len(paths) == 1 else paths
