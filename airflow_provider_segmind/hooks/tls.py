"""Which TLS certificates are trusted: one rule for workers, the triggerer and downloads."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import certifi
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager

from airflow_provider_segmind.exceptions import InvalidConnectionError
from airflow_provider_segmind.hooks.exchange import WatchedConnection, WatchedTlsConnection

log = logging.getLogger(__name__)

_warned_of: set[str] = set()
"""Ids of the connections whose lack of verification was remarked on in this process."""


def tls_context(verify: bool | str) -> ssl.SSLContext:
    """
    Return the context for connections to Segmind and to media hosts.

    :param verify: True to trust what the system trusts (or ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``) and what the
        package ``certifi`` trusts; the path of a CA bundle or folder to trust that alone; False to trust everyone.
    :raises OSError: If the bundle cannot be read, or holds no certificate.
    """
    if isinstance(verify, str):
        folder = Path(verify).is_dir()
        return ssl.create_default_context(cafile=None if folder else verify, capath=verify if folder else None)
    context = ssl.create_default_context()
    if verify:
        context.load_verify_locations(certifi.where())
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def any_tls(places: Iterable[str | None]) -> bool:
    """Whether TLS is spoken with any of these hosts and proxies, by their addresses."""
    return any(place is not None and place.lower().startswith("https:") for place in places)


def context_of(conn_id: str, verify: bool | str) -> ssl.SSLContext:
    """
    Return the context that a connection asks for. Takes some 30 ms, so keep it.

    Logs a warning if it trusts everyone: one for each process and connection.

    :raises InvalidConnectionError: If the bundle cannot be used.
    """
    try:
        context = tls_context(verify)
    except (OSError, ValueError) as error:
        raise InvalidConnectionError(
            f"verify of the connection {conn_id!r} cannot be used: {type(error).__name__}: {error}"
        ) from error
    if verify is False and conn_id not in _warned_of:
        _warned_of.add(conn_id)
        log.warning(
            "TLS certificates are not verified, because verify of the connection %r is false: whoever is on the "
            "way to Segmind can read the API key.",
            conn_id,
        )
    return context


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = WatchedConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = WatchedTlsConnection


class TlsAdapter(HTTPAdapter):
    """
    Lets ``requests`` trust what one context trusts, for hosts and for proxies, whatever its ``verify`` says.

    ``requests`` chooses a context, a bundle and a mode by its ``verify``, in another way with almost every version
    since 2.32, and would add them to the context that is given here.

    :param context: As of :func:`tls_context`; None if no TLS is spoken, with the host or with a proxy.
    :ivar pools: The classes of the connection pools, by scheme; a subclass may have others.
    """

    pools: dict[str, type[HTTPConnectionPool]] = {"http": _PlainPool, "https": _TlsPool}  # noqa: RUF012

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any) -> None:
        """Make the pools of connections without a proxy."""
        self.poolmanager = _Pools(
            num_pools=connections, maxsize=maxsize, block=block, ssl_context=self._context, **pool_kwargs
        )
        self.poolmanager.pool_classes_by_scheme = self.pools

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Return the pools of connections through a proxy, which may itself speak TLS."""
        if proxy not in self.proxy_manager:
            pools = _ProxyPools(
                proxy,
                proxy_headers=self.proxy_headers(proxy),
                proxy_ssl_context=self._context,
                ssl_context=self._context,
                **proxy_kwargs,
            )
            pools.pool_classes_by_scheme = self.pools
            self.proxy_manager[proxy] = pools
        return self.proxy_manager[proxy]

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave everything to the context."""


class _WithoutVerify:
    """Leaves out what ``requests`` makes of its ``verify``."""

    def connection_from_host(
        self, host: str | None, port: int | None = None, scheme: str | None = "http", pool_kwargs: Any = None
    ) -> HTTPConnectionPool:
        pool: HTTPConnectionPool = super().connection_from_host(host, port, scheme)  # type: ignore[misc]
        return pool


class _Pools(_WithoutVerify, PoolManager):
    pass


class _ProxyPools(_WithoutVerify, ProxyManager):
    pass
