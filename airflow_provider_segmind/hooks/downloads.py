"""Fetching outputs from their media host: without the API key, and only from where the rules allow."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.connection import HTTPConnection

from airflow_provider_segmind.api.download import Download
from airflow_provider_segmind.api.media_url import MediaRules, read_location_header
from airflow_provider_segmind.api.text import one_line, without_login
from airflow_provider_segmind.exceptions import DownloadError, SegmindError
from airflow_provider_segmind.hooks.causes import certificate_fault, chain
from airflow_provider_segmind.hooks.connection import USER_AGENT, SegmindConnection
from airflow_provider_segmind.hooks.deadlines import Pace
from airflow_provider_segmind.hooks.names import CONNECT_TIMEOUT
from airflow_provider_segmind.hooks.sockets import CarefulConnection, resolve_host
from airflow_provider_segmind.hooks.tls import TlsAdapter, make_tls_context

CHUNK = 64 * 1024
"""Bytes to read at most at once; fewer if fewer have come."""

MOST_REDIRECTS = 5
ATTEMPTS = 5
"""How often a download that makes no headway is taken up again."""

LONGEST_RESUME_PAUSE = 10.0
"""Seconds between two attempts at most. All pauses together are some 20 s: storage shows a new file by then."""

LEAST_SPEED = 16 * 1024
"""Bytes per second. A connection that brings fewer, on average over ``SLOWEST_WINDOW``, counts as broken."""

SLOWEST_WINDOW = 60.0
"""Seconds; twice the connection's ``timeout``, if that is less."""

LONGEST_DOWNLOAD = 2 * 3600.0
"""Seconds that one file may take, without the time that storing it takes."""

_REDIRECTS = (301, 302, 303, 307, 308)
_OF_REQUESTS = requests.RequestException

log = logging.getLogger(__name__)


def fetch_file(
    url: str, download: Download, connection: SegmindConnection, request_id: str | None
) -> Iterator[bytes]:
    """
    Download a file: yield it piece by piece, and resume it where a connection broke. Sleeps between attempts.

    :raises SegmindError: The one that fits, if it cannot be had whole.
    """
    failures = 0
    window = min(SLOWEST_WINDOW, 2 * connection.timeout)
    with (
        closing(Pace(LEAST_SPEED, window, LONGEST_DOWNLOAD)) as pace,
        closing(_Fetching(url, download, connection, request_id, pace)) as fetching,
    ):
        while True:
            before = download.received
            try:
                while not (yield from fetching.fetch_part()):
                    pass
                return
            except DownloadError as error:
                failures = 1 if download.received > before and not pace.cut else failures + 1
                if not error.may_resume or failures >= ATTEMPTS:
                    raise
                log.warning("Resuming the download: %s", error.facts)
            pause = min(1.5 * 2.0 ** (failures - 1), LONGEST_RESUME_PAUSE)
            pace.spend(pause)
            time.sleep(pause)


class _Fetching:
    """The requests for one file."""

    def __init__(
        self, url: str, download: Download, connection: SegmindConnection, request_id: str | None, pace: Pace
    ) -> None:
        self._url = url
        self._download = download
        self._connection = connection
        self._request_id = request_id
        self._pace = pace
        self._adapters: dict[str, TlsAdapter] = {}

    def fetch_part(self) -> Generator[bytes, None, bool]:
        """Yield what one answer has of the file; return whether that was the rest."""
        download, pace = self._download, self._pace
        answer = self._request()
        try:
            headers = {name.lower(): text for name, text in answer.headers.items()}
            with self._translating_errors():
                whole = not download.begin(answer.status_code, headers, url=self._url)
            pace.allow()
            while not whole and (most := download.next_read(CHUNK)):
                with self._translating_errors(), pace.running():
                    chunk = answer.raw.read1(most)
                if not chunk:
                    break
                pace.count(len(chunk))
                if new := download.take(chunk):
                    yield new
        finally:
            _close(answer)
        return whole or download.end_body()

    def close(self) -> None:
        """Close the connections."""
        for adapter in self._adapters.values():
            adapter.close()

    def _request(self) -> requests.Response:
        """Return the answer to a request, behind the redirects."""
        rules = self._connection.media_rules
        url = rules.check_url(self._url, self._request_id)
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._send_request(url)
            if answer.status_code not in _REDIRECTS:
                return answer
            _close(answer)  # without a look at its body, which may be without end
            locations = {each.strip(" \t") for each in answer.raw.headers.getlist("location")}
            if len(locations) != 1 or "" in locations:
                raise self._download.broken_error(f"HTTP {answer.status_code} without a Location")
            url = rules.check_redirect(url, read_location_header(locations.pop()), self._request_id)
        raise self._download.broken_error(f"more than {MOST_REDIRECTS} redirects", final=True)

    def _send_request(self, url: str) -> requests.Response:
        connection = self._connection
        connecting = min(CONNECT_TIMEOUT, connection.timeout)
        headers = {"User-Agent": USER_AGENT, **self._download.headers()}
        self._pace.allow(connecting + connection.timeout)
        with self._translating_errors():
            request = requests.Request("GET", url, headers).prepare()
            request.url = url  # requests would write some of it in another way
            adapter = self._get_adapter(urlsplit(url).scheme)
            # Plain http is for an emulator on this machine: behind a proxy it would be one on the proxy's.
            proxies = {} if url.startswith("http:") else connection.proxies_for(url)
            with self._pace.running():
                return adapter.send(request, True, (connecting, connection.timeout), proxies=proxies)

    def _get_adapter(self, scheme: str) -> TlsAdapter:
        if scheme not in self._adapters:
            context = self._load_tls_context() if scheme == "https" else None
            self._adapters[scheme] = TlsAdapter(
                context, self._connection_kinds(_Checked, scheme), self._connection_kinds(_Watched, scheme)
            )
        return self._adapters[scheme]

    def _connection_kinds(self, kind: type[HTTPConnection], scheme: str) -> dict[str, type[HTTPConnection]]:
        """Return a kind of connections for both schemes, with all that it has to know."""
        known = {
            "pace": self._pace,
            "media_rules": self._connection.media_rules,
            "plain": scheme == "http",
            "request_id": self._request_id,
        }
        return dict.fromkeys(("http", "https"), type(kind.__name__, (kind,), known))

    def _load_tls_context(self) -> ssl.SSLContext:
        try:
            return make_tls_context(self._connection.verify)
        except (OSError, ValueError) as error:
            cause = f"verify of the connection cannot be used: {type(error).__name__}: {one_line(str(error), 200)}"
            raise self._download.broken_error(cause, final=True) from None

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        """Turn the errors of libraries into those of this provider."""
        try:
            yield
        except SegmindError:
            raise
        except Exception as error:  # noqa: BLE001 - what libraries raise for malformed answers is not documented
            # Without its cause: libraries repeat URLs with their signatures, and the login of a proxy.
            raise self._too_slow_error() if self._pace.cut else self._broken_error(error) from None
        if self._pace.cut:
            raise self._too_slow_error()

    def _too_slow_error(self) -> DownloadError:
        if self._pace.time_left <= 0:
            return self._download.broken_error(f"it took longer than {LONGEST_DOWNLOAD / 3600:g} h", final=True)
        return self._download.broken_error(
            f"the media host is too slow: fewer than {LEAST_SPEED} bytes per second"
        )

    def _broken_error(self, error: Exception) -> DownloadError:
        fault = certificate_fault(error)
        if fault is not None:
            return self._download.broken_error(
                "the TLS certificate of the media host, or of a proxy on the way, is not trusted: "
                f"{one_line(fault, 200)}. If a private authority issued it, set verify in the extra of the "
                "connection to the path of its CA bundle",
                final=True,
            )
        # Of the system's words alone: those of requests repeat the URL with its signature.
        of_system = [
            each for each in chain(error) if isinstance(each, OSError) and not isinstance(each, _OF_REQUESTS)
        ]
        words = one_line(without_login(str(of_system[-1])), 150) if of_system else ""
        return self._download.broken_error(f"{type(error).__name__}{': ' * bool(words)}{words}")


def _close(answer: requests.Response) -> None:
    with suppress(Exception):
        answer.close()


class _Watched(CarefulConnection):
    """A connection that is cut when the time is up."""

    pace: Pace

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        self.pace.watch(connected)
        return connected

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # one that an earlier request left open
            self.pace.watch(self.sock)
        super().request(*args, **kwargs)


class _Checked(_Watched):
    """A connection that checks each address of its host before it connects to it."""

    media_rules: MediaRules
    request_id: str | None
    plain: bool

    def _new_conn(self) -> socket.socket:
        longest = float(self.timeout or CONNECT_TIMEOUT)
        addresses = self._resolve_allowed(self._dns_host.strip("[]"))
        connected = self._connect_to_one_of(_attempts(addresses, longest))
        connected.settimeout(longest)
        self.pace.watch(connected)
        return self._check_peer(connected)

    def _check_peer(self, connected: socket.socket) -> socket.socket:
        """Check the address that was connected to: the layers below may have looked up another one."""
        try:
            self.media_rules.check_address(str(connected.getpeername()[0]), self.request_id, plain=self.plain)
        except BaseException:
            connected.close()
            raise
        return connected

    def _resolve_allowed(self, name: str) -> list[str]:
        """Look a name up, once: only a checked address is connected to."""
        allowed: list[str] = []
        refusal: SegmindError | None = None
        for address in resolve_host(name, self.port):
            try:
                self.media_rules.check_address(address, self.request_id, plain=self.plain)
                allowed.append(address)
            except SegmindError as error:
                refusal = error
        if refusal is not None and not allowed:
            raise refusal
        return allowed


def _attempts(addresses: Sequence[str], seconds: float) -> Iterator[tuple[str, float]]:
    """Yield each address and its share of the time, so that one that does not answer leaves some for the next."""
    ends = time.monotonic() + seconds
    for number, address in enumerate(addresses):
        yield address, max((ends - time.monotonic()) / (len(addresses) - number), 0.001)
