"""The transport of workers, on ``requests``."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase

from airflow_provider_segmind.api.call import Call
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.hooks.causes import Secrets, certificate_fault
from airflow_provider_segmind.hooks.connection import SegmindConnection
from airflow_provider_segmind.hooks.deadlines import Exchange
from airflow_provider_segmind.hooks.names import CONNECT_TIMEOUT, DEFAULT_CONNECTION_ID
from airflow_provider_segmind.hooks.responses import ASKED_FOR, has_body_to_read, proxy_refusal, response_of
from airflow_provider_segmind.hooks.tls import TlsAdapter, any_tls, load_context
from airflow_provider_segmind.hooks.worker_turns import WorkerTurns

T = TypeVar("T")

_CHUNK = 64 * 1024


class BlockingTransport:
    """
    Sends calls one at a time over a pooled session. Sends each call once: retries are the hook's.

    :param conn_id: The connection's id, for messages.
    """

    def __init__(self, connection: SegmindConnection, conn_id: str = DEFAULT_CONNECTION_ID) -> None:
        self.connection = connection
        self.conn_id = conn_id
        self._sessions: dict[bool, requests.Session] = {}
        self.turns = WorkerTurns(connection, conn_id)

    def send(self, call: Call[T]) -> T:
        """
        Send a call when it is its turn, and return what the answer means.

        From connecting to the last byte of the answer, it takes as long as the connection allows at most.
        Redirects are not followed: they would carry the API key to another host.

        :raises SegmindError: The one that fits, if the answer is not what was hoped for.
        """
        with self.turns.take(call):
            return self._send(call)

    def _send(self, call: Call[T]) -> T:
        url = self.connection.url(call)
        seconds = self.connection.timeout_of(call)
        proxies = self.connection.proxies_for(url)
        session = self._session_for(url, requests.utils.select_proxy(url, proxies))
        with Exchange(seconds) as exchange:
            try:
                received = self._exchange(session, call, url, proxies, exchange)
            except SegmindError:
                raise
            # Whatever a library makes of a host's bytes, a submit may have been accepted by then: no error may
            # leave here that does not say so.
            except Exception as error:  # noqa: BLE001
                secrets = Secrets(self.connection, proxies.values())
                failure = self._failure(call, error, exchange, secrets, proxies)
                raise failure from (None if secrets.are_in(error) else error)
        return call.read(received)

    def _session_for(self, url: str, proxy: str | None) -> requests.Session:
        """Return the session to use for a host and a proxy: one with certificates only where there is TLS."""
        with_tls = any_tls((url, proxy))
        if with_tls not in self._sessions:
            context = load_context(self.conn_id, self.connection.verify) if with_tls else None
            self._sessions[with_tls] = _Session(TlsAdapter(context))
        return self._sessions[with_tls]

    def _exchange(
        self, session: requests.Session, call: Call[Any], url: str, proxies: dict[str, str], exchange: Exchange
    ) -> Any:
        with session.request(
            call.method,
            url,
            data=call.body,
            headers={**self.connection.headers(call), **ASKED_FOR},
            timeout=(min(CONNECT_TIMEOUT, exchange.seconds), exchange.seconds),
            proxies=proxies,
            allow_redirects=False,
            stream=True,
        ) as answer:
            status = answer.status_code
            if refusal := proxy_refusal(status, url, requests.utils.select_proxy(url, proxies)):
                raise call.undelivered_error(refusal)
            if status < 200:
                raise call.unanswered_error(f"HTTP {status} is not a final response")
            body, complete = _read_body(answer, call.limit, exchange) if has_body_to_read(status) else (b"", True)
            headers = {name.lower(): value for name, value in answer.headers.items()}
        return response_of(status, headers, body, complete, call, self.connection)

    def _failure(
        self,
        call: Call[Any],
        error: Exception,
        exchange: Exchange,
        secrets: Secrets,
        proxies: dict[str, str],
    ) -> SegmindError:
        """Return what to raise if there was no answer."""
        fault = certificate_fault(error)
        if fault is not None and not exchange.sent:
            url = self.connection.url(call)
            of_proxy = isinstance(error, requests.exceptions.ProxyError)
            host = requests.utils.select_proxy(url, proxies) if of_proxy else url
            return call.untrusted_error(secrets.mask(_host_of(host or url)), fault)
        if not exchange.reached:
            return call.undelivered_error(
                f"no connection within {exchange.seconds:g} s" if exchange.cut else secrets.summarize(error)
            )
        return call.unanswered_error(
            f"no answer within {exchange.seconds:g} s" if exchange.cut else secrets.summarize(error)
        )

    def close(self) -> None:
        """Close the pooled connections."""
        for session in self._sessions.values():
            session.close()


class _Session(requests.Session):
    """
    A session that ignores redirects, cookies and the environment.

    Even with ``allow_redirects=False``, ``requests`` reads the body of a redirect to its end and parses its
    address. It would raise what is wrong with them in place of returning the answer.
    """

    def __init__(self, adapter: TlsAdapter) -> None:
        super().__init__()
        self.trust_env = False
        self.auth = _NoOtherCredentials()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        for scheme in ("https://", "http://"):
            self.mount(scheme, adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return that there is none."""


class _NoOtherCredentials(AuthBase):
    """Keeps ``requests`` from adding a login of the user's ``.netrc``: Segmind takes ``x-api-key`` alone."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _read_body(answer: requests.Response, limit: int, exchange: Exchange) -> tuple[bytes, bool]:
    """Return the body as it came, a little more than ``limit`` of it at most, and whether that is all of it."""
    body = bytearray()
    try:
        while chunk := answer.raw.read1(_CHUNK, decode_content=False):
            body += chunk
            if len(body) > limit or exchange.over:
                return bytes(body), False
    except (urllib3.exceptions.HTTPError, OSError, ValueError):
        return bytes(body), False
    return bytes(body), not exchange.cut


def _host_of(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
