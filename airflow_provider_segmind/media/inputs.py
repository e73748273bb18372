"""A model's parameters, and the files among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.fingerprint import digests, fingerprint
from airflow_provider_segmind.api.locations import as_list, is_location
from airflow_provider_segmind.api.sent_inputs import SentInputs
from airflow_provider_segmind.exceptions import InvalidParameterError

if TYPE_CHECKING:
    from airflow_provider_segmind.media.reading import InputFile

MOST_TOGETHER = 100 * 1024 * 1024
"""Bytes of all files of a task: they are in memory until they are uploaded."""


class Inputs:
    """
    What a task gives to a model.

    Files are read when they are needed first, and each only once.

    :param model: The model's slug.
    :param parameters: As the user gave them: with locations where Segmind will get URLs.
    :param upload: The names of those that may hold a location, or a list of locations.
    :param conn_id: The Airflow connection to the storage that has the files.
    """

    def __init__(
        self, model: str, parameters: Mapping[str, Any], upload: Sequence[str] = (), conn_id: str | None = None
    ) -> None:
        self.model = model
        self.parameters = parameters
        self._upload = tuple(name for name in upload if name in parameters)
        self._conn_id = conn_id

    @cached_property
    def given(self) -> str:
        """The fingerprint of the parameters as they are written, with the names of files and not their content."""
        return fingerprint(self.model, self.parameters)

    @cached_property
    def digests(self) -> dict[str, str]:
        """A short digest of each parameter as it is written, by its name."""
        return digests(self.parameters)

    @cached_property
    def fingerprint(self) -> str:
        """
        The fingerprint of the parameters with the content of files in place of their names.

        :raises InvalidParameterError: If there is a file that cannot be used.
        :raises UnreadableInputError: If one could not be read now.
        """
        return (
            fingerprint(self.model, self._substitute(lambda file: f"sha256:{file.sha256}"))
            if self.files
            else self.given
        )

    @cached_property
    def files(self) -> Mapping[str, InputFile]:
        """The files by their location; the same errors."""
        found: dict[str, InputFile] = {}
        for name in self._upload:
            for location in filter(is_location, as_list(self.parameters[name])):
                from airflow_provider_segmind.media.reading import read_image  # storages, if there is a file

                if location not in found:
                    found[location] = read_image(name, location, self._conn_id)
                    if sum(len(file.content) for file in found.values()) > MOST_TOGETHER:
                        raise InvalidParameterError(
                            name, f"all files together are larger than {MOST_TOGETHER // 2**20} MiB"
                        )
        return found

    def sent(self, urls: Mapping[str, str]) -> SentInputs:
        """Return what it takes to recognize the parameters as Segmind gets them, with the URLs of files."""
        return SentInputs.of(self.model, self.with_urls(urls), set(urls.values()))

    def release(self) -> None:
        """Let go of the content of the files: they have been uploaded, and a wait may be long."""
        self.files = {location: replace(file, content=b"") for location, file in self.files.items()}

    def with_urls(self, urls: Mapping[str, str]) -> Mapping[str, Any]:
        """
        Return the parameters as Segmind gets them.

        :param urls: Where each file is, by the digest of its content.
        """
        return self._substitute(lambda file: urls[file.sha256]) if self.files else self.parameters

    def _substitute(self, written: Callable[[InputFile], str]) -> dict[str, Any]:
        replaced = {name: self._replace(self.parameters[name], written) for name in self._upload}
        return {**self.parameters, **replaced}

    def _replace(self, value: Any, written: Callable[[InputFile], str]) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._replace(part, written) for part in value]
        return written(self.files[value]) if is_location(value) else value
