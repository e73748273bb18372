"""Where the Redis is that all machines share a rate limit in: an Airflow connection of the type ``redis``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.hooks.fields import describe, invalid, read_extra, read_flag_field
from airflow_provider_segmind.hooks.redaction import MASK

CONNECTION_TYPES = ("redis", "rediss")
DEFAULT_PORT = 6379
LARGEST_DATABASE = 9999
CERTIFICATE_REQUIREMENTS = ("required", "optional", "none")
_PATHS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


@dataclass(frozen=True)
class RedisPlace:
    """
    How to reach a Redis.

    :param conn_id: Of the Airflow connection, for messages.
    :param database: Its number.
    :param tls: What ``redis.Redis`` takes besides ``ssl=True``; None without TLS.
    """

    conn_id: str
    host: str
    port: int = DEFAULT_PORT
    database: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: Mapping[str, Any] | None = None

    def options(self) -> dict[str, Any]:
        """Return the arguments of ``redis.Redis``."""
        return {
            "host": self.host,
            "port": self.port,
            "db": self.database,
            "username": self.username,
            "password": self.password,
            **({"ssl": True, **self.tls} if self.tls is not None else {}),
        }

    def redact(self, text: str) -> str:
        """Return a text as one line, without the password."""
        for secret in (self.password, quote(self.password or "", safe="")):
            text = text.replace(secret, MASK) if secret else text
        return one_line(text)

    def __str__(self) -> str:
        return f"the Redis of the connection {self.conn_id!r} ({self.host}:{self.port})"


def read_redis_place(
    name: str,
    *,
    conn_type: object,
    host: object,
    port: object,
    schema: object,
    login: object,
    password: object,
    extra: Mapping[str, Any] | str | None,
) -> RedisPlace:
    """
    Return what the fields of an Airflow connection of the type ``redis`` say.

    The extra has the keys that Airflow's own Redis hook reads: ``db``, ``ssl``, ``ssl_cert_reqs``,
    ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``, ``ssl_check_hostname``.

    :param name: The connection's id, for messages.
    :raises InvalidConnectionError: If a field cannot be used. It names the field, and repeats no value.
    """
    found = conn_type.lower() if isinstance(conn_type, str) else ""
    if found not in CONNECTION_TYPES:
        raise invalid(name, "conn_type", "must be 'redis' for rate_limit_conn_id, but is of another type")
    if not isinstance(host, str) or not host.strip():
        raise invalid(name, "host", "is empty; enter the host of the Redis")
    fields = read_extra(name, extra)
    uses_tls = found == "rediss" or read_flag_field(name, "ssl", fields.get("ssl"))
    return RedisPlace(
        conn_id=name,
        host=host.strip(),
        port=_read_whole(name, "port", port, DEFAULT_PORT, 65_535) or DEFAULT_PORT,
        database=_read_database(name, fields.get("db"), schema),
        username=login if isinstance(login, str) and login else None,
        password=password if isinstance(password, str) and password else None,
        tls=_read_tls(name, fields) if uses_tls else None,
    )


def _read_database(name: str, db: object, schema: object) -> int:
    """Return the number of the database: of the extra, or what a URI has after its slash."""
    if db is None or db == "":
        return _read_whole(name, "schema", schema, 0, LARGEST_DATABASE)
    return _read_whole(name, "db", db, 0, LARGEST_DATABASE)


def _read_whole(name: str, field_name: str, given: object, default: int, most: int) -> int:
    if given is None or given == "":
        return default
    text = str(given).strip() if isinstance(given, (int, str)) and not isinstance(given, bool) else ""
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most:
        return int(text)
    raise invalid(name, field_name, f"must be a whole number from 0 to {most:,}, but is {describe(given)}")


def _read_tls(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    if given := fields.get("ssl_cert_reqs"):
        if given not in CERTIFICATE_REQUIREMENTS:
            allowed = ", ".join(CERTIFICATE_REQUIREMENTS)
            raise invalid(name, "ssl_cert_reqs", f"must be one of {allowed}, but is {describe(given)}")
        read["ssl_cert_reqs"] = given
    for key in _PATHS:
        if given := fields.get(key):
            if not isinstance(given, str):
                raise invalid(name, key, f"must be the path of a file, but is {describe(given)}")
            read[key] = given
    if "ssl_keyfile" in read and "ssl_certfile" not in read:
        raise invalid(name, "ssl_keyfile", "needs ssl_certfile, the certificate of this key")
    given = fields.get("ssl_check_hostname")
    is_checked = given is None or given == "" or read_flag_field(name, "ssl_check_hostname", given)
    # The package redis before version 6 checks the host name only on request. "none" accepts any host.
    read["ssl_check_hostname"] = is_checked and read.get("ssl_cert_reqs") != "none"
    return read
