"""What is wrong with a Redis, and what to do about it: one line for a log and for the form of a connection."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

from airflow_provider_segmind.hooks.redis_place import RedisPlace

LONGEST_ANSWER = 5.0
"""Seconds for one question to Redis, with connecting."""

NOT_INSTALLED = "install it with `pip install 'airflow-provider-segmind[redis]'`"

PERMISSIONS = "https://github.com/segmind/airflow-provider-segmind/blob/main/docs/rate-limits.md#with-redis"

_EXPIRED, _NOT_YET_VALID, _OTHER_HOST, _OTHER_ADDRESS = 10, 9, 62, 64
"""Verification codes of OpenSSL (``x509_vfy.h``)."""

_NO_TLS = "if it speaks no TLS on this port, use conn_type 'redis' without ssl in the extra"
_SPEAK_TLS = "if it speaks TLS on this port, use conn_type 'rediss', or \"ssl\": true in the extra"
_SET_CLIENT_CERTIFICATE = "set ssl_certfile and ssl_keyfile in the extra"


def describe_failure(error: BaseException, place: RedisPlace) -> str:
    """
    Return what went wrong with Redis and what to do, in one line and without the password.

    Reads the files that the connection names, if TLS fails.
    """
    if isinstance(error, ImportError):
        return f"the package {error.name!r} is not installed; {NOT_INSTALLED}"
    return place.redact(_known(list(_chain(error)), place) or _words(error))


def _known(errors: list[BaseException], place: RedisPlace) -> str | None:
    from redis import exceptions

    def found(*kinds: type[BaseException]) -> Any:
        return next((error for error in errors if isinstance(error, kinds)), None)

    if (
        place.tls is not None
        and found(OSError, exceptions.ConnectionError)
        and (unusable := _unusable_file(place))
    ):
        return unusable
    if refused := found(ssl.SSLCertVerificationError):
        return _describe_certificate(refused)
    if broken := found(ssl.SSLError):
        return _describe_handshake(broken, place)
    if found(exceptions.AuthenticationError):
        return _describe_login(place)
    if refused := found(exceptions.NoPermissionError) or _refused_in_script(found(exceptions.ResponseError)):
        return f"its user lacks a permission: {refused}; allow all that {PERMISSIONS} lists"
    if found(ConnectionResetError, BrokenPipeError) or any(map(_is_end, errors)):
        return f"it closed the connection; {_closed_advice(place)}"
    if found(exceptions.InvalidResponse) and place.tls is None:
        return f"its answer is not that of a Redis; {_SPEAK_TLS}"
    timeout = found(TimeoutError, exceptions.TimeoutError)
    if timeout is not None and _is_silence(timeout):
        return f"no answer within {LONGEST_ANSWER:g} s{f'; {_NO_TLS}' if place.tls is not None else ''}"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised for: clients of Redis wrap what a socket raised."""
    current: BaseException | None = error
    for _ in range(20):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__


def _words(error: BaseException) -> str:
    of_limiter = type(error).__module__.startswith("throttled")
    cause = error.__cause__ if of_limiter and error.__cause__ is not None else error
    return f"{type(cause).__name__}: {cause}"


def _unusable_file(place: RedisPlace) -> str | None:
    """Return what is wrong with a file that the connection names: the client says neither which one nor what."""
    tls = place.tls or {}
    authority, certificate, key = (tls.get(name) for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is not None:
        try:
            context.load_verify_locations(cafile=authority)
        except (OSError, ValueError) as error:
            return (
                f"ssl_ca_certs is no readable file with certificates ({_reason(error)}); correct it in the extra"
            )
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password="")  # or OpenSSL asks the terminal for it
        except (OSError, ValueError) as error:
            return (
                "ssl_certfile and ssl_keyfile are no readable files with a certificate and its key, without a "
                f"passphrase ({_reason(error)}); correct them in the extra"
            )
    return None


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").lower().replace("_", " ")
    return str(getattr(error, "strerror", None) or error)


def _refused_in_script(error: BaseException | None) -> BaseException | None:
    """Return an answer that says that a script may not run one of its commands: it is no ``NOPERM``."""
    return error if error is not None and "user executing the script" in str(error) else None


def _describe_certificate(error: ssl.SSLCertVerificationError) -> str:
    code, words = error.verify_code, str(error.verify_message).rstrip(".")
    if code in (_OTHER_HOST, _OTHER_ADDRESS):
        return (
            f"its certificate is for another host: {words}; use a host that the certificate names, or set "
            '"ssl_check_hostname": false in the extra'
        )
    if code in (_EXPIRED, _NOT_YET_VALID):
        return f"its certificate is not valid now: {words}; renew it on the Redis, or set the clocks right"
    return (
        f"its certificate is not trusted: {words}; set ssl_ca_certs in the extra to the path of the certificate "
        "of the authority that issued it"
    )


def _describe_handshake(error: ssl.SSLError, place: RedisPlace) -> str:
    reason = _reason(error)
    if "certificate required" in reason:
        return f"it wants a client certificate; {_SET_CLIENT_CERTIFICATE}"
    if "alert" in reason and _has_certificate(place):
        return f"it does not accept the client certificate in ssl_certfile ({reason}); use one that it trusts"
    if "alert" in reason:
        return (
            f"it ended the TLS handshake ({reason}); if it wants a client certificate, {_SET_CLIENT_CERTIFICATE}"
        )
    return f"it does not speak TLS as expected ({reason}); {_NO_TLS}"


def _describe_login(place: RedisPlace) -> str:
    if place.password is None:
        return f"it wants a password; enter it in the connection {place.conn_id!r}"
    return f"it rejects the login or the password; correct them in the connection {place.conn_id!r}"


def _closed_advice(place: RedisPlace) -> str:
    if place.tls is None:
        return _SPEAK_TLS
    if _has_certificate(place):
        return "it may not accept the client certificate in ssl_certfile: use one that it trusts"
    return f"if it wants a client certificate, {_SET_CLIENT_CERTIFICATE}"


def _has_certificate(place: RedisPlace) -> bool:
    return bool((place.tls or {}).get("ssl_certfile"))


def _is_end(error: BaseException) -> bool:
    return isinstance(error, EOFError) or "closed by server" in str(error).lower()


def _is_silence(error: BaseException) -> bool:
    return not str(error) or "timeout" in str(error).lower()
