"""Which TLS certificates are trusted: one rule for workers, the triggerer and downloads."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection

from airflow_provider_segmind.exceptions import InvalidConnectionError
from airflow_provider_segmind.hooks.sockets import WatchedConnection, WatchedTlsConnection

Kinds = Mapping[str, type[HTTPConnection]]
"""Classes of connections by scheme."""

log = logging.getLogger(__name__)

_warned_of: set[str] = set()
"""Ids of the connections whose lack of verification was remarked on in this process."""


def make_tls_context(verify: bool | str) -> ssl.SSLContext:
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


def any_tls(urls: Iterable[str | None]) -> bool:
    """Whether TLS is spoken with any of these hosts and proxies, by their addresses."""
    return any(url is not None and url.lower().startswith("https:") for url in urls)


def load_context(conn_id: str, verify: bool | str) -> ssl.SSLContext:
    """
    Return the context that a connection asks for. Takes some 30 ms, so keep it.

    Logs a warning if it trusts everyone: one for each process and connection.

    :raises InvalidConnectionError: If the bundle cannot be used.
    """
    try:
        context = make_tls_context(verify)
    except (OSError, ValueError) as error:
        raise InvalidConnectionError(
            f"verify of the connection {conn_id!r} cannot be used: {type(error).__name__}: {error}"
        ) from error
    if verify is False and conn_id not in _warned_of:
        _warned_of.add(conn_id)
        log.warning(
            "TLS certificates are not verified, because verify of the connection %r is false: anyone between "
            "this machine and Segmind can read the API key.",
            conn_id,
        )
    return context


WATCHED: Kinds = {"http": WatchedConnection, "https": WatchedTlsConnection}


class TlsAdapter(HTTPAdapter):
    """
    Lets ``requests`` trust what one context trusts, for hosts and for proxies, whatever its ``verify`` says.

    ``requests`` chooses a context, a bundle and a mode by its ``verify``, in another way with almost every version
    since 2.32, and would add them to the context that is given here.

    :param context: As of :func:`make_tls_context`; None if no TLS is spoken, with the host or with a proxy.
    :param direct: The kinds of connections to hosts.
    :param proxied: The kinds of connections through a proxy.
    """

    def __init__(self, context: ssl.SSLContext | None, direct: Kinds = WATCHED, proxied: Kinds = WATCHED) -> None:
        self._context = context
        self._direct = direct
        self._proxied = proxied
        super().__init__()

    def init_poolmanager(self, *sizes: Any, **options: Any) -> None:
        """Make the pools of connections without a proxy."""
        super().init_poolmanager(*sizes, ssl_context=self._context, **options)
        _set_connection_classes(self.poolmanager, self._direct)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return the pools of connections through a proxy, which may itself speak TLS."""
        if proxy not in self.proxy_manager:
            own = {} if proxy.lower().startswith("socks") else {"proxy_ssl_context": self._context}
            pools = super().proxy_manager_for(proxy, ssl_context=self._context, **own, **options)
            _set_connection_classes(pools, self._proxied)
        return self.proxy_manager[proxy]

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return the connections to use, without anything that ``requests`` makes of its ``verify``."""
        proxy = select_proxy(request.url or "", proxies)
        if proxy:
            pools = self.proxy_manager_for(proxy if "://" in proxy else f"http://{proxy}")
        else:
            pools = self.poolmanager
        return pools.connection_from_url(request.url)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave everything to the context."""


def _set_connection_classes(pools: Any, kinds: Kinds) -> None:
    """Have pools make connections of these kinds, each on top of what the pools themselves make of a scheme."""
    pools.pool_classes_by_scheme = {
        scheme: type(
            pool.__name__,
            (pool,),
            {"ConnectionCls": type(kinds[scheme].__name__, (kinds[scheme], pool.ConnectionCls), {})},
        )
        for scheme, pool in pools.pool_classes_by_scheme.items()
    }
