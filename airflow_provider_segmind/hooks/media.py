"""Fetching outputs from their media host: without the API key, and only from where the rules allow."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from airflow_provider_segmind.api.download import Download
from airflow_provider_segmind.api.media_url import MediaRules
from airflow_provider_segmind.exceptions import DownloadError
from airflow_provider_segmind.hooks.connection import CONNECT_TIMEOUT, USER_AGENT, SegmindConnection

CHUNK = 1024 * 1024
MOST_REDIRECTS = 5
ATTEMPTS = 5
"""How often a download that makes no headway is taken up again."""

LONGEST_PAUSE = 10.0

log = logging.getLogger(__name__)


def fetched(url: str, download: Download, connection: SegmindConnection, request_id: str) -> Iterator[bytes]:
    """
    Yield a file piece by piece, and go on where it broke off.

    :raises SegmindError: The one that fits, if it cannot be had whole.
    """
    failures = 0
    with _session(connection.media_rules, request_id) as session:
        while True:
            before = download.received
            try:
                yield from _once(session, url, download, connection, request_id)
                return
            except DownloadError as error:
                failures = 1 if download.received > before else failures + 1
                if not error.may_resume or failures >= ATTEMPTS:
                    raise
                log.warning("Will go on: %s", error)
            time.sleep(min(2.0 ** (failures - 1) / 2, LONGEST_PAUSE))


def _once(
    session: requests.Session, url: str, download: Download, connection: SegmindConnection, request_id: str
) -> Iterator[bytes]:
    try:
        with _opened(session, url, download, connection, request_id) as answer:
            download.begin(answer.status_code, {name.lower(): text for name, text in answer.headers.items()})
            while chunk := answer.raw.read(CHUNK):
                if new := download.taken(chunk):
                    yield new
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise download.broken(f"{type(error).__name__}") from error
    download.ended()


def _opened(
    session: requests.Session, url: str, download: Download, connection: SegmindConnection, request_id: str
) -> requests.Response:
    rules = connection.media_rules
    url = rules.checked(url, request_id)
    for _ in range(MOST_REDIRECTS + 1):
        answer = session.get(
            url,
            headers={"User-Agent": USER_AGENT, **download.headers()},
            timeout=(min(CONNECT_TIMEOUT, connection.timeout), connection.timeout),
            verify=connection.verify,
            proxies=connection.proxies_for(url),
            allow_redirects=False,
            stream=True,
        )
        if answer.status_code not in (301, 302, 303, 307, 308):
            return answer
        answer.close()
        url = rules.redirected(url, answer.headers.get("location", ""), request_id)
    raise download.broken(f"more than {MOST_REDIRECTS} redirects", final=True)


def _session(rules: MediaRules, request_id: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, _CheckingAdapter(rules, request_id))
    return session


class _CheckingAdapter(HTTPAdapter):
    """Connects only to addresses that the rules allow: to the very one that was checked."""

    def __init__(self, rules: MediaRules, request_id: str) -> None:
        self._rules, self._request_id = rules, request_id
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        told = {"media_rules": self._rules, "request_id": self._request_id}
        plain = type("Plain", (_Checking, HTTPConnection), told)
        secure = type("Secure", (_Checking, HTTPSConnection), told)
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }


class _Checking:
    """A connection that looks at the address before it connects."""

    media_rules: MediaRules
    request_id: str
    _dns_host: str
    port: int

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        found = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM)
        for *_, address in found:
            self.media_rules.check_address(str(address[0]), self.request_id)
        self._dns_host = str(found[0][-1][0])
        try:
            connected: socket.socket = super()._new_conn()  # type: ignore[misc]
        finally:
            self._dns_host = name
        return connected
