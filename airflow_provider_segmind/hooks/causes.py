"""What went wrong under a call, in few words and without a secret."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote

from airflow_provider_segmind.api.locations import without_login
from airflow_provider_segmind.api.text import one_line

_INNER = ("__cause__", "__context__", "reason", "original_error", "os_error", "certificate_error")


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it wraps, outer ones first: libraries do so in arguments and attributes, too."""
    waiting, seen = [error], set()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = (*each.args, *(getattr(each, name, None) for name in _INNER))
        waiting += [part for part in inner if isinstance(part, BaseException)]


def certificate_fault(error: BaseException) -> str | None:
    """Return what is wrong with a certificate; None if the error is about something else."""
    for each in chain(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return str(getattr(each, "verify_message", "") or each)
    return None


class Secrets:
    """
    What may not be shown in any way in which a message could hold it.

    :param words: The secrets themselves, such as an API key.
    :param addresses: URLs that may have a login in them, such as those of proxies.
    """

    def __init__(self, words: Iterable[str], addresses: Iterable[str | None] = ()) -> None:
        spelled: set[str] = set(words)
        for address in addresses:
            spelled.update(_login_spellings(address or ""))
        spelled |= {repr(word)[1:-1] for word in spelled}
        self._spelled = sorted((word for word in spelled if word), key=len, reverse=True)

    def masked(self, text: str) -> str:
        """Return a text without them."""
        for word in self._spelled:
            text = text.replace(word, "***")
        return without_login(text)

    def are_in(self, error: BaseException) -> bool:
        """Whether an error, or one that it wraps, shows one: then it may not reach a log."""
        return any(self.masked(str(each)) != str(each) for each in chain(error))

    def in_short(self, error: BaseException) -> str:
        """Return the innermost cause on one line: the outer ones repeat it around an object's address."""
        inner = getattr(error, "reason", None) or getattr(error, "os_error", None)
        inner = inner or (error.args[-1] if error.args else None)
        if isinstance(inner, BaseException) and inner is not error:
            return self.in_short(inner)
        words = str(error).rpartition("object at 0x")[2].partition(">: ")[2] or str(error)
        words = one_line(self.masked(words))
        return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _login_spellings(address: str) -> Iterator[str]:
    """Yield the login in an address as a whole, and its password, as libraries may write them."""
    login = address.partition("://")[2].rpartition("@")[0]
    if not login:
        return
    name, colon, password = login.partition(":")
    secret = password if colon else name  # a token may come without a password
    for written in (f"{name}:{password}", f"{unquote(name)}:{unquote(password)}"):
        yield written
        for encoding in ("utf-8", "latin-1"):
            yield base64.b64encode(written.encode(encoding, "replace")).decode()
    yield from (login, secret, unquote(secret), quote(unquote(secret)), quote(unquote(secret), safe=""))
