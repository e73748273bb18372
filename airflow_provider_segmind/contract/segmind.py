"""Raw questions to a Segmind, each bounded in time and size, and the answers as they came."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

RESET_HEADER = "x-rate-limit-reset-at-utc"

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_LARGEST_ANSWER = 16 * 1024 * 1024
_CHUNK = 64 * 1024
_LONGEST_QUEUE = 65.0
_USUAL_QUEUE = 20.0
_ATTEMPTS = 3
_MILLISECONDS = 1e11
"""Epoch numbers above this are milliseconds: as seconds it is the year 5138."""


class ContractError(Exception):
    """An answer that a question cannot be settled with."""


class OutOfTimeError(ContractError):
    """The time for all questions is used up."""


@dataclass(frozen=True)
class Hosts:
    """The three addresses of a Segmind."""

    gateway: str = "https://api.segmind.com"
    platform: str = "https://api.spotprod.segmind.com"
    storage: str = "https://workflows-api.segmind.com"


@dataclass(frozen=True)
class Answer:
    """An answer as it came. `at` is epoch seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: float

    @cached_property
    def document(self) -> Any:
        """The JSON in the body; None if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object in the body; empty if it is none."""
        return self.document if isinstance(self.document, dict) else {}

    def describe(self) -> str:
        """The status, and the keys of the body."""
        keys = ", ".join(f"`{key}`" for key in list(self.fields)[:8])
        return f"HTTP {self.status}" + (f" with {keys}" if keys else "")


class Segmind:
    """A Segmind as the owner of one key sees it. A rate limit is waited for, within the time that is left.

    :param deadline: On the steady clock: when to ask no more.
    """

    def __init__(self, hosts: Hosts, api_key: str, deadline: float) -> None:
        self.hosts = hosts
        self.limited: list[Answer] = []
        self.reset_headers: list[str] = []
        self._deadline = deadline
        self._session = requests.Session()
        self._session.headers["x-api-key"] = api_key
        self._session.headers["User-Agent"] = "airflow-provider-segmind-contract"

    def get(self, host: str, path: str, **query: object) -> Answer:
        """Send a GET, and wait for its turn."""
        return self._patient("GET", host, path, params=query)

    def get_once(self, host: str, path: str, **query: object) -> Answer:
        """Send a GET whose answer may be that the limit is reached."""
        return self._send("GET", host, path, params=query)

    def post(self, host: str, path: str, document: object) -> Answer:
        """Send a POST, and again only if it was refused because of the rate limit."""
        return self._patient("POST", host, path, json=document)

    def pause(self, seconds: float) -> None:
        """Sleep, if there is time."""
        self.require(seconds)
        time.sleep(seconds)

    def require(self, seconds: float) -> None:
        """Raise OutOfTimeError if less time than this is left."""
        if time.monotonic() + seconds > self._deadline:
            raise OutOfTimeError("the time for all questions is used up")

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _patient(self, method: str, host: str, path: str, **content: Any) -> Answer:
        for _ in range(_ATTEMPTS):
            answer = self._send(method, host, path, **content)
            if answer.status != 429:
                return answer
            self.pause(_queue_seconds(answer))
        raise ContractError(f"the rate limit refused this {_ATTEMPTS} times")

    def _send(self, method: str, host: str, path: str, **content: Any) -> Answer:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise OutOfTimeError("the time for all questions is used up")
        limit = min(left, _ANSWER_SECONDS)
        # A redirect is not followed: requests would send the key along.
        response = self._session.request(
            method,
            f"{getattr(self.hosts, host)}{path}",
            timeout=(min(_CONNECT_SECONDS, limit), limit),
            allow_redirects=False,
            stream=True,
            auth=_no_other_login,
            **content,
        )
        with response:
            body = _read(response, time.monotonic() + limit)
        answer = Answer(response.status_code, response.headers, body, time.time())
        if header := answer.headers.get(RESET_HEADER):
            self.reset_headers.append(header)
        if answer.status == 429:
            self.limited.append(answer)
        return answer


def read_reset(text: str) -> tuple[str, float] | None:
    """The form of a reset, in the words of `World.reset_format`, and its epoch second; None for another form."""
    try:
        number = float(text)
    except ValueError:
        return _read_date(text)
    return ("epoch_ms", number / 1000) if number > _MILLISECONDS else ("epoch", number)


def _read_date(text: str) -> tuple[str, float] | None:
    try:
        moment = datetime.fromisoformat(text)
        return "iso", moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except ValueError:
        pass
    try:
        return "rfc1123", parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None


def _queue_seconds(answer: Answer) -> float:
    try:
        seconds = float(answer.headers.get("Retry-After", ""))
    except ValueError:
        reset = read_reset(answer.headers.get(RESET_HEADER, ""))
        seconds = _USUAL_QUEUE if reset is None else reset[1] - answer.at
    return min(max(seconds, 0.1), _LONGEST_QUEUE)


def _read(response: requests.Response, until: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > _LARGEST_ANSWER or time.monotonic() > until:
            raise ContractError("the answer was too long, or took too long")
    return bytes(body)


def _no_other_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep a login of ~/.netrc out of the request."""
    return request
