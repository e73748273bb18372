"""
Where a watermark is kept: in files below ``[segmind] records_path``, in the asset's state store, or in memory.

Two triggerers may run the same watch for a while: one that Airflow takes for dead, and the one that took over. So
a watch claims what it is about to report by writing the next watermark, and reports it only if no other has done
so.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_segmind.api.forms import SIZE, WORD, Form
from airflow_provider_segmind.api.text import one_line, safe_text
from airflow_provider_segmind.api.watermark import VERSION, Watermark, merged
from airflow_provider_segmind.durability.backends import CONNECTION_OPTION, OPTION, SECTION, records_folder
from airflow_provider_segmind.durability.storage_errors import naming_storage
from airflow_provider_segmind.exceptions import InvalidParameterError, RecordUnavailableError, SegmindError

if TYPE_CHECKING:
    from airflow_provider_segmind.api.locations import Location
    from airflow_provider_segmind.media.small_files import SmallFile

T = TypeVar("T")

FOLDER = "watches/"
"""Below ``[segmind] records_path``: a folder for each watch."""

KEY = "segmind_watermark"
"""In an asset's state store: the beginning of the key."""

MOST_BYTES = 1024 * 1024

CLAIM_WRITE_TIME = 2.0
"""
Seconds that another triggerer may need from reading a watermark in the asset's state store to writing the next.
"""

CONTESTED_LOOKS = 5
LONGEST_WORDS = 300
LONGEST_BACK_OFF = 2.0
"""Seconds between two looks at files that two triggerers have written at once."""

_NAME = re.compile(r"([0-9]{12})-([0-9a-f]{16})\.json")

log = logging.getLogger(__name__)


class Home(Protocol):
    """Where the watermark of one watch is kept."""

    where: str
    """As in "it is kept in …"."""

    async def read(self) -> Watermark | None:
        """
        Return what was written last; None if nothing was.

        :raises SegmindError: If it cannot be read.
        """

    async def claim(self, mark: Watermark) -> bool:
        """
        Write the watermark that follows the one that was read last; say whether no other watch has done so.

        :raises SegmindError: If that cannot be known.
        """


def identity_of(arguments: dict[str, Any]) -> str:
    """Return the hash that tells a watch from others."""
    return hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()


def choose_home(identity: str, asset_state_store: Any) -> Home:
    """
    Return where the watermark of a watch is kept.

    :param identity: Of the watch.
    :param asset_state_store: What Airflow 3.3 and later give an event trigger; None if there is none.
    :raises InvalidParameterError: If ``[segmind] records_path`` cannot be used.
    """
    folder = records_folder()
    if folder is not None:
        return FileHome(folder / f"{FOLDER}{identity}/")
    if asset_state_store is not None:
        return AssetStateHome(asset_state_store, f"{KEY}:{identity}")
    return MemoryHome()


class MemoryHome:
    """This process alone: a watch that starts again begins again."""

    where = "memory"

    def __init__(self) -> None:
        self._mark: Watermark | None = None

    async def read(self) -> Watermark | None:
        """Return the watermark."""
        return self._mark

    async def claim(self, mark: Watermark) -> bool:
        """Keep the watermark: there is no other watch."""
        self._mark = mark
        return True


class FileHome:
    """
    Files with numbers, of which the one with the highest number counts.

    A watch writes a file with the next number, and lists the folder then. If another file has the same number, or
    a higher one, it takes its own back. So of two watches that write at the same time, at least the one that wrote
    last sees the other. That needs no lock and no conditional write, only a storage whose listings show what was
    written before, as S3, Google Cloud Storage, Azure and local disks have.

    :param folder: Of the watch.
    """

    def __init__(self, folder: Location) -> None:
        self._folder = folder
        self._token = secrets.token_hex(8)
        self._number = 0
        self._base: list[str] = []
        self._doubtful: str | None = None
        self.where = safe_text(folder.uri)

    async def read(self) -> Watermark | None:
        """Return the watermark with the highest number."""
        for _ in range(CONTESTED_LOOKS):
            found = await _in_thread(self._read)
            if len(found) < 2:
                break
            await asyncio.sleep(random.uniform(0, LONGEST_BACK_OFF))  # noqa: S311 - spreads load
        return merged(found) if found else None

    async def claim(self, mark: Watermark) -> bool:
        """Write the file with the next number."""
        return await _in_thread(self._claim, mark)

    def _read(self) -> list[Watermark]:
        """Return the watermarks with the highest number: several if two watches are writing, or one died then."""
        if self._doubtful is not None:  # nothing of it was reported
            self._remove(self._doubtful)
            self._doubtful = None
        names = self._names()
        self._number = max((number for number, _ in names), default=0)
        self._base = [name for number, name in names if number == self._number]
        marks = [self._load(name) for name in self._base]
        return [mark for mark in marks if mark is not None]

    def _claim(self, mark: Watermark) -> bool:
        number = self._number + 1
        own = f"{number:012d}-{self._token}.json"
        self._doubtful = own
        with self._naming("written to"):
            self._file(own).write(json.dumps({**mark.as_json(), "base": self._base}).encode())
        names = self._names()
        rivals = [(other, name) for other, name in names if other >= number and name != own]
        if rivals and not self._is_base_of_all(own, number, rivals):
            self._remove(own)
            self._doubtful = None
            return False
        if (number, own) not in names:
            raise RecordUnavailableError(
                f"{OPTION}: {self.where} does not show a file that was just written to it"
            )
        self._doubtful, self._number = None, number
        for other, name in names:
            if other < number - 1:
                self._remove_quietly(name)
        return True

    def _is_base_of_all(self, own: str, number: int, rivals: list[tuple[int, str]]) -> bool:
        """
        Whether another watch has read the file before this one could list the folder, and went on from it.

        Then nobody else reports what it has, and this watch has to.
        """
        if any(other == number for other, _ in rivals):
            return False
        return any(self._base_of(name) == [own] for other, name in rivals if other == number + 1)

    def _base_of(self, name: str) -> object:
        document = self._document(name)
        return document.get("base") if isinstance(document, dict) else None

    def _names(self) -> list[tuple[int, str]]:
        from airflow_provider_segmind.media.small_files import names_in

        with self._naming("listed"):
            names = names_in(self._folder, name=OPTION, conn_name=f"[{SECTION}] {CONNECTION_OPTION}")
        matches = (_NAME.fullmatch(name) for name in names)
        return sorted((int(match[1]), match[0]) for match in matches if match is not None)

    def _load(self, name: str) -> Watermark | None:
        document = self._document(name)
        try:
            return Watermark.from_json(document) if document is not None else None
        except SegmindError as error:
            raise self._unusable(name, error.detail) from error

    def _document(self, name: str) -> Any:
        """Return what is in a file; None if it was taken back."""
        with self._naming("read"):
            content = self._file(name).read(MOST_BYTES)
        if content is None:
            return None
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._unusable(name, "it is not JSON") from error

    def _unusable(self, name: str, problem: str) -> SegmindError:
        return InvalidParameterError(
            OPTION,
            f"what a watch has reported, {self.where}{name}, cannot be used: {problem}. Delete the folder to "
            "report what ends from then on",
        )

    def _remove(self, name: str) -> None:
        with self._naming("written to"):
            self._file(name).remove()

    def _remove_quietly(self, name: str) -> None:
        try:
            self._remove(name)
        except SegmindError as error:
            log.debug("An old watermark is still there: %s", error.facts)

    def _file(self, name: str) -> SmallFile:
        from airflow_provider_segmind.media.small_files import small_file

        conn_name = f"[{SECTION}] {CONNECTION_OPTION}"
        return small_file(self._folder / name, name=OPTION, conn_name=conn_name, always_allowed=True)

    def _naming(self, done: str) -> AbstractContextManager[None]:
        return naming_storage(OPTION, f"the watermark of an account, {self.where}, cannot be {done}")


@dataclass(frozen=True)
class _Stored:
    """
    A watermark in an asset's state store.

    :param revision: How often it was written.
    :param writer: Who wrote it.
    """

    mark: Watermark
    revision: int
    writer: str


class AssetStateHome:
    """
    The state store of the assets, from Airflow 3.3 on. Of two writers, the last one wins.

    A watch reads the watermark, writes the next one at once, gives another watch time to do the same, and looks
    whether its own is still there.

    :param store: ``BaseEventTrigger.asset_state_store``: that of one asset, or of all that have the same watch.
    :param key: Of the watch.
    """

    where = "the asset's state store"

    def __init__(self, store: Any, key: str) -> None:
        self._stores = _stores_of(store)
        self._key = key
        self._token = secrets.token_hex(8)
        self._revision = 0
        self._doubtful: tuple[int, Watermark | None] | None = None

    async def read(self) -> Watermark | None:
        """Return the watermark in the store."""
        stored = await self._load()
        self._revision = stored.revision if stored is not None else 0
        doubtful, self._doubtful = self._doubtful, None
        if stored is None or doubtful is None:
            return stored.mark if stored is not None else None
        if (stored.writer, stored.revision) != (self._token, doubtful[0]):
            return stored.mark
        self._doubtful = doubtful
        return doubtful[1]  # nothing of what this watch wrote was reported

    async def claim(self, mark: Watermark) -> bool:
        """Write the watermark, wait, and look."""
        before = await self._load()
        if (before.revision if before is not None else 0) != self._revision:
            return False
        written = before.mark if before is not None else None
        former = self._doubtful[1] if self._doubtful is not None else written
        revision = self._revision + 1
        self._doubtful = (revision, former)
        for store in self._stores:
            await _call(store, "set", self._key, {**mark.as_json(), "revision": revision, "writer": self._token})
        await asyncio.sleep(CLAIM_WRITE_TIME)
        after = await self._load()
        self._doubtful, self._revision = None, revision
        return after is not None and (after.writer, after.revision) == (self._token, revision)

    async def _load(self) -> _Stored | None:
        """Return what was written last: an asset that has joined has nothing yet."""
        documents = [await _call(store, "get", self._key) for store in self._stores]
        found = [_read_stored(document) for document in documents if document is not None]
        return max(found, key=lambda each: each.revision, default=None)


def _stores_of(store: Any) -> list[Any]:
    """Return the store of each asset. The one for all of them works only if there is a single asset."""
    stores = [each for name in ("_by_name", "_by_uri") for each in dict(getattr(store, name, {})).values()]
    return stores or [store]


def _read_stored(document: object) -> _Stored:
    form = Form(document, "the watermark in the asset's state store cannot be read", VERSION)
    return _Stored(Watermark.from_json(document), form.required("revision", SIZE), form.required("writer", WORD))


async def _call(store: Any, method: str, *arguments: Any) -> Any:
    """Call a method of a store: it has others for an event loop from Airflow 3.3.2 on."""
    on_loop: Callable[..., Awaitable[Any]] | None = getattr(store, f"a{method}", None)
    try:
        if on_loop is not None:
            return await on_loop(*arguments)
        return await _in_thread(getattr(store, method), *arguments)
    except Exception as error:
        words = one_line(f"{type(error).__name__}: {error}", LONGEST_WORDS)
        raise RecordUnavailableError(f"the asset's state store cannot be used: {words}") from error


async def _in_thread(call: Callable[..., T], *arguments: Any) -> T:
    """Call something that blocks, in another thread than that in which Airflow 3.0 and 3.1 look connections up."""
    from asgiref.sync import sync_to_async  # only a triggerer needs it

    return await sync_to_async(call, thread_sensitive=False)(*arguments)
