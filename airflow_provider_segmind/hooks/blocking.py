"""The transport of workers, on ``requests``."""

from __future__ import annotations

import ssl
import time
from functools import cached_property
from typing import Any, TypeVar

import requests
import urllib3
from requests.auth import AuthBase

from airflow_provider_segmind.api.call import Call, Response
from airflow_provider_segmind.api.locations import without_login
from airflow_provider_segmind.hooks.connection import CONNECT_TIMEOUT, SegmindConnection

T = TypeVar("T")

_CHUNK = 64 * 1024
_NEVER_CONNECTED = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.LocationValueError,
    ssl.SSLCertVerificationError,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidProxyURL,
)
_NO_TUNNEL = "Tunnel connection failed"


class BlockingTransport:
    """Sends calls one at a time over a pooled session. Sends each call once: retries are the hook's."""

    def __init__(self, connection: SegmindConnection) -> None:
        self.connection = connection

    @cached_property
    def _session(self) -> requests.Session:
        session = _Session()
        session.auth = _NoOtherCredentials()
        return session

    def send(self, call: Call[T]) -> T:
        """
        Send a call and return what the answer means.

        Redirects are not followed: they would carry the API key to another host.

        :raises SegmindError: The one that fits, if the answer is not what was hoped for.
        """
        url = self.connection.url(call)
        patience = self.connection.patience(call)
        give_up_at = time.monotonic() + patience
        try:
            with self._session.request(
                call.method,
                url,
                data=call.body,
                headers=self.connection.headers(call),
                timeout=(min(CONNECT_TIMEOUT, patience), patience),
                verify=self.connection.verify,
                proxies=self.connection.proxies_for(url),
                allow_redirects=False,
                stream=True,
            ) as answer:
                response = self._received(answer, call.limit, give_up_at)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            cause = _in_short(error)
            raise (call.undelivered(cause) if _never_left(error) else call.unanswered(cause)) from error
        return call.read(response)

    def _received(self, answer: requests.Response, limit: int, give_up_at: float) -> Response:
        body = bytearray()
        complete = True
        try:
            while chunk := answer.raw.read1(_CHUNK, decode_content=True):
                body += chunk
                if len(body) > limit or time.monotonic() > give_up_at:
                    complete = False
                    break
        except (urllib3.exceptions.HTTPError, OSError):
            complete = False
        return Response(
            status=answer.status_code,
            headers={name.lower(): value for name, value in answer.headers.items()},
            body=self.connection.redacted(bytes(body[:limit])),
            complete=complete,
        )

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()


class _Session(requests.Session):
    """
    A session that takes no notice of redirects, and nothing from the environment on its own.

    Even when told not to follow a redirect, ``requests`` reads its body to the end and its address, and raises
    what is wrong with that in place of the answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return that there is none."""


class _NoOtherCredentials(AuthBase):
    """Keeps ``requests`` from adding a login of the user's ``.netrc``: Segmind takes ``x-api-key`` alone."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _never_left(error: BaseException) -> bool:
    """
    Whether the call certainly did not reach Segmind, because no connection was made.

    A ProxyError alone does not say so: a connection through a proxy that breaks after the body was sent is one.
    """
    reasons: list[Any] = [error]
    while reasons:
        reason = reasons.pop()
        if isinstance(reason, _NEVER_CONNECTED) or (isinstance(reason, OSError) and _NO_TUNNEL in str(reason)):
            return True
        reasons += [part for part in getattr(reason, "args", ()) if isinstance(part, BaseException)]
        inner = (getattr(reason, name, None) for name in ("reason", "original_error"))
        reasons += [part for part in inner if isinstance(part, BaseException)]
    return False


def _in_short(error: BaseException) -> str:
    """Return the innermost cause: the outer ones repeat it around an object's address."""
    inner = getattr(error, "reason", None) or (error.args[-1] if error.args else None)
    if isinstance(inner, BaseException):
        return _in_short(inner)
    words = str(error).rpartition("object at 0x")[2].partition(">: ")[2] or str(error)
    return f"{type(error).__name__}: {without_login(words)}"
