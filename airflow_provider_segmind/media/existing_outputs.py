"""What becomes of a task whose output is there before it begins: ``if_output_exists`` says it."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_segmind.api.text import safe_text
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.media.stored import ExistingOutput


class OutputKept(Exception):  # noqa: N818 - it ends a task as its author wants it
    """
    The output is there already, and with ``if_output_exists="skip"`` the task has nothing to do.

    :param outputs: The files.
    :param request_id: Of the request that made them; None if that is not known.
    """

    def __init__(self, outputs: Sequence[ExistingOutput], request_id: str | None) -> None:
        self.outputs = outputs
        self.request_id = request_id
        super().__init__(", ".join(each.path for each in outputs))

    @property
    def paths(self) -> str | list[str]:
        """What the task returns: the path of the file, or a list of several."""
        paths = [each.path for each in self.outputs]
        return paths[0] if len(paths) == 1 else paths


def check_existing(
    found: Sequence[ExistingOutput], if_output_exists: str, consequence: str, request_id: str | None
) -> None:
    """
    Check that no output is there which must not be replaced.

    :param found: The files that are there.
    :param if_output_exists: ``"skip"`` or ``"error"``.
    :param consequence: What an error says about the task, such as "nothing was submitted".
    :param request_id: Of the request that made them; None if that is not known.
    :raises OutputKept: With ``"skip"``, if there is one.
    :raises InvalidParameterError: With ``"error"``, if there is one.
    """
    if not found:
        return
    if if_output_exists == "error":
        raise InvalidParameterError(
            "output_path",
            f'{safe_text(found[0].path)} is there already, and if_output_exists is "error": {consequence}. '
            "Remove it, or choose another name",
        )
    raise OutputKept(found, request_id)
