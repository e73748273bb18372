"""Whether two requests are alike, although Segmind may write the inputs of one differently."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from airflow_provider_segmind.api.portable import HALF_CHARACTER_OR_NUL, REPLACEMENT

_SIGNING_PREFIXES = ("x-amz-", "x-goog-")
_SIGNING_PARAMETERS = {
    # The parameter that says that a URL is signed, and those that then belong to the signature.
    "x-amz-signature": (),
    "x-goog-signature": (),
    "signature": ("awsaccesskeyid", "googleaccessid", "expires", "key-pair-id", "policy", "security-token"),
    "sig": (
        *("sv", "ss", "srt", "sp", "se", "st", "spr", "sr", "si", "sip", "sdd", "ses", "saoid", "suoid", "scid"),
        *("skoid", "sktid", "skt", "ske", "sks", "skv", "skdutid", "sduoid"),
    ),
}
"""
Query parameters of presigned URLs, as documented by Amazon S3 ("Authenticating Requests: Using Query
Parameters" for version 4, "Signing and Authenticating REST Requests" for version 2), Google Cloud Storage ("V4
signed URLs"), Azure Storage ("Create a service SAS") and Amazon CloudFront ("Use signed URLs").
"""


def fingerprint(model: str, parameters: Mapping[str, Any]) -> str:
    """
    Return the SHA-256 of a model and its parameters, as canonical JSON.

    The same for any order of the keys, for ``5``, ``5.0`` and ``"5"``, and with or without parameters that are
    null: the request history may return the inputs of a request in any of these ways. The same for NUL and U+FFFD,
    which takes its place when the history is read. The same for a presigned URL that was signed again: the file is
    the same.
    """
    document = json.dumps([model, _canonical(parameters)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(document.encode()).hexdigest()


def digests(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return a short digest of each parameter by its name, by the same rules as ``fingerprint``."""
    return {str(name): fingerprint("", {"": value})[:12] for name, value in parameters.items()}


def without_signature(text: str) -> str:
    """Return a URL without the part of its query that signs it; any other text as it is."""
    if not text.startswith(("https://", "http://")) or "?" not in text:
        return text
    try:
        parts = urlsplit(text)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return text
    names = {name.lower() for name, _ in pairs}
    signing = {sign: belonging for sign, belonging in _SIGNING_PARAMETERS.items() if sign in names}
    if not signing:
        return text
    dropped = {*signing, *(name for belonging in signing.values() for name in belonging)}
    kept = [
        (name, value)
        for name, value in pairs
        if name.lower() not in dropped and not name.lower().startswith(_SIGNING_PREFIXES)
    ]
    return urlunsplit(parts._replace(query=urlencode(kept)))


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_portable(str(name)): _canonical(part) for name, part in value.items() if part is not None}
    if isinstance(value, (list, tuple)):
        return [_canonical(part) for part in value]
    if value is None or isinstance(value, bool):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return _portable(without_signature(str(value)))
    return str(number) if number == number and abs(number) < 1e15 else str(value)


def _portable(text: str) -> str:
    return HALF_CHARACTER_OR_NUL.sub(REPLACEMENT, text)
