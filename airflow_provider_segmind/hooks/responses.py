"""From the bytes that a transport received to a Response."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from airflow_provider_segmind.api.call import Call, Response
from airflow_provider_segmind.api.content_encoding import ContentDecoder, UndecodableError
from airflow_provider_segmind.hooks.connection import SegmindConnection

ASKED_FOR = {"Accept-Encoding": "identity"}
"""A few kilobytes of gzip become gigabytes; what is not compressed is as large as it looks."""


def response_of(
    status: int,
    headers: Mapping[str, str],
    raw: bytes,
    complete: bool,
    call: Call[Any],
    connection: SegmindConnection,
) -> Response:
    """
    Return an answer without its content encoding and without the API key.

    What cannot be decoded within the call's limit counts as an answer that broke off at its start.

    :param headers: With lower-case names.
    :param raw: The body as it came; more than ``call.limit`` bytes of it if there are more.
    """
    if len(raw) > call.limit:
        raw, complete = raw[: call.limit], False
    try:
        body = _decode(raw, headers.get("content-encoding", ""), call.limit, complete)
    except UndecodableError:
        body, complete = b"", False
    key = connection.api_key
    shown = {name: value.replace(key, "***") for name, value in headers.items()}
    return Response(status=status, headers=shown, body=connection.redact(body), complete=complete, at=time.time())


def proxy_refusal(status: int, url: str, proxy: str | None) -> str | None:
    """
    Return why a proxy refused to forward a call; None if it did forward it.

    Without a tunnel, which http:// has not, the answer to a wrong login for the proxy looks like Segmind's.
    """
    if status == 407 and proxy is not None and url.startswith("http://"):
        return "the proxy rejected the login (HTTP 407); check proxies of the connection"
    return None


def has_body_to_read(status: int) -> bool:
    """Whether the body of an answer says anything: that of a redirect does not, and may be without end."""
    return not 300 <= status < 400


def _decode(raw: bytes, encoding: str, limit: int, complete: bool) -> bytes:
    if not raw:
        return raw
    decoder = ContentDecoder(encoding)
    body = decoder.decode(raw, limit)
    if complete:
        decoder.finish()
    return body
