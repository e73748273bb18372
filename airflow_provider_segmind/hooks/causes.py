"""What went wrong under a call, in few words and without a secret."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator

from airflow_provider_segmind.api.text import one_line, without_login
from airflow_provider_segmind.hooks.connection import SegmindConnection
from airflow_provider_segmind.hooks.proxies import login_secrets
from airflow_provider_segmind.hooks.redaction import MASK

_NO_TLS = (
    ' The address does not speak TLS: for plain http, write http:// before the host ("/http" at the end of a '
    "connection URI)."
)

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

    :param connection: Whose API key and proxies they are.
    :param proxies: URLs of proxies with logins in them, those of the environment among them.
    """

    def __init__(self, connection: SegmindConnection, proxies: Iterable[str | None] = ()) -> None:
        self._connection = connection
        spelled = {connection.api_key, *login_secrets(filter(None, proxies))}
        spelled |= {repr(word)[1:-1] for word in spelled}
        self._spelled = sorted(spelled, key=len, reverse=True)

    def mask(self, text: str) -> str:
        """Return a text without them."""
        for word in self._spelled:
            text = text.replace(word, MASK)
        return without_login(self._connection.redact_text(text))

    def are_in(self, error: BaseException) -> bool:
        """Whether an error, or one that it wraps, shows one: then it may not reach a log."""
        return any(self.mask(str(each)) != str(each) for each in chain(error))

    def summarize(self, error: BaseException) -> str:
        """Return the innermost cause on one line: the outer ones repeat it around an object's address."""
        inner = getattr(error, "reason", None) or getattr(error, "os_error", None)
        inner = inner or (error.args[-1] if error.args else None)
        if isinstance(inner, BaseException) and inner is not error:
            return self.summarize(inner)
        words = str(error).rpartition("object at 0x")[2].partition(">: ")[2] or str(error)
        words = one_line(self.mask(words))
        if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
            words += _NO_TLS
        return f"{type(error).__name__}: {words}" if words else type(error).__name__
