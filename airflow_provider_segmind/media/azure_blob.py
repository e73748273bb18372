"""
Block blobs in Azure: nobody sees a blob, or a change of one, before the list of its blocks is committed.

The files of adlfs cannot be used for that: they commit what they have whenever they are closed, also by the
garbage collector, and their ``discard`` does nothing. So this calls Azure's client, with the login that adlfs has
given it.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from airflow_provider_segmind.media.storages import naming_os_errors

MOST_BLOCKS = 50_000
"""Of one blob."""

_requests_log = logging.getLogger(f"{__name__}.requests")
_requests_log.setLevel(logging.WARNING)
"""Azure's client writes twenty lines for each request, of which a large file needs hundreds."""


class UnpublishedBlob:
    """
    A blob that is being uploaded: see :class:`~airflow_provider_segmind.media.publishing.UnpublishedObject`.

    Blocks that are never committed stay until Azure deletes them, after a week, or until a blob of this name is
    committed. There is no call that deletes them.

    :param storage: The file system, of adlfs.
    :param path: Its container and name.
    :param media_type: The content type that it gets.
    :param block_size: Bytes that are gathered before they are sent on.
    """

    def __init__(self, storage: Any, path: str, media_type: str, block_size: int) -> None:
        self._storage = storage
        # Not the file system's own way to split a path, which takes "?versionid=" for no part of the name.
        self._container, _, self._name = path.partition("/")
        self._media_type = media_type
        self._block_size = block_size
        self._gathered = bytearray()
        self._size = 0
        self._block_ids: list[str] = []

    def write(self, piece: bytes) -> None:
        """Append a piece."""
        self._gathered += piece
        self._size += len(piece)
        if len(self._gathered) >= self._block_size:
            self._stage_gathered()

    def publish(self, size: int) -> None:
        """
        Make the blob of the blocks of this upload and no others, in place of one that has its name.

        :param size: Bytes that were written: checked.
        :raises OSError: If that is not possible. Another upload to this name, which was completed after this one
            had begun, has discarded the blocks of this one.
        """
        from azure.storage.blob import BlobBlock, ContentSettings

        if self._size != size:
            raise OSError(f"{self._size} of {size} bytes were sent to the storage")
        if self._gathered:
            self._stage_gathered()
        blocks = [BlobBlock(each) for each in self._block_ids]
        settings = ContentSettings(content_type=self._media_type)
        self._call("commit_block_list", blocks, content_settings=settings)

    def try_write(self) -> None:
        """
        Send a few bytes, and publish nothing.

        :raises Exception: Whatever the storage says if that is not possible.
        """
        self.write(b"segmind")
        self._stage_gathered()

    def discard(self) -> None:
        """Forget what was not sent yet."""
        self._gathered.clear()

    def _stage_gathered(self) -> None:
        # Random, so that no other upload to this name has it; and as long as adlfs makes them, since all that were
        # sent to a name have to have one length.
        block_id = uuid.uuid4().hex
        block, self._gathered = bytes(self._gathered), bytearray()
        self._call("stage_block", block_id, block, length=len(block))
        self._block_ids.append(block_id)

    def _call(self, method: str, *arguments: Any, **options: Any) -> None:
        from fsspec.asyn import sync

        async def call() -> None:
            client = self._storage.service_client.get_blob_client(self._container, self._name)
            async with client:
                await getattr(client, method)(*arguments, **options, logger=_requests_log)

        with naming_os_errors():
            sync(self._storage.loop, call)


def is_azure(storage: Any) -> bool:
    """Whether a file system is the one of adlfs for blobs. It also has one for the first Data Lake Storage."""
    kind = type(storage)
    return kind.__module__.startswith("adlfs.") and kind.__name__ == "AzureBlobFileSystem"
