"""What the trouble of a storage means for a task that keeps something about its money there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_segmind.exceptions import InvalidParameterError, RecordUnavailableError, SegmindError


@contextmanager
def naming_storage(option: str, what: str) -> Iterator[None]:
    """
    Turn the errors of a storage into ones that name it.

    :param option: The parameter or option that has the location.
    :param what: What cannot be done with what is there, as in "the record … cannot be read".
    :raises InvalidParameterError: If no retry can help.
    :raises RecordUnavailableError: If the trouble may pass.
    """
    try:
        yield
    except SegmindError:
        raise
    except Exception as error:
        from airflow_provider_segmind.media.storages import is_final, words_of  # storages take long to import

        words = f"{what}: {words_of(error)}"
        if is_final(error):
            raise InvalidParameterError(option, words) from error
        raise RecordUnavailableError(f"{option}: {words}") from error
