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
from airflow_provider_segmind.hooks.connection import CONNECT_TIMEOUT, SegmindConnection

T = TypeVar("T")

_CHUNK = 64 * 1024
_NEVER_CONNECTED = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.ProxyError,
)


class BlockingTransport:
    """Sends calls one at a time over a pooled session. Sends each call once: retries are the hook's."""

    def __init__(self, connection: SegmindConnection) -> None:
        self.connection = connection

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.auth = _NoOtherCredentials()
        return session

    def send(self, call: Call[T]) -> T:
        """
        Send a call and return what the answer means.

        Redirects are not followed: they would carry the API key to another host.

        :raises SegmindError: The one that fits, if the answer is not what was hoped for.
        """
        patience = self.connection.patience(call)
        give_up_at = time.monotonic() + patience
        try:
            with self._session.request(
                call.method,
                self.connection.url(call),
                data=call.body,
                headers=self.connection.headers(call),
                timeout=(min(CONNECT_TIMEOUT, patience), patience),
                verify=self.connection.verify,
                proxies=dict(self.connection.proxies),
                allow_redirects=False,
                stream=True,
            ) as answer:
                response = self._received(answer, call.limit, give_up_at)
        except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
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


class _NoOtherCredentials(AuthBase):
    """Keeps ``requests`` from adding a login of the user's ``.netrc``: Segmind takes ``x-api-key`` alone."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _never_left(error: BaseException) -> bool:
    """Whether the call certainly did not reach Segmind, because no connection was made."""
    if isinstance(error, (ValueError, UnicodeError)) and not isinstance(error, requests.JSONDecodeError):
        return True
    reasons: list[Any] = [error]
    while reasons:
        reason = reasons.pop()
        if isinstance(reason, (*_NEVER_CONNECTED, ssl.SSLCertVerificationError)):
            return True
        reasons += [part for part in getattr(reason, "args", ()) if isinstance(part, BaseException)]
        if isinstance(inner := getattr(reason, "reason", None), BaseException):
            reasons.append(inner)
    return False


def _in_short(error: BaseException) -> str:
    """Return the innermost cause: the outer ones repeat it around an object's address."""
    inner = getattr(error, "reason", None) or (error.args[-1] if error.args else None)
    if isinstance(inner, BaseException):
        return _in_short(inner)
    words = str(error).rpartition("object at 0x")[2].partition(">: ")[2] or str(error)
    return f"{type(error).__name__}: {words}"
