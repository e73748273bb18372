"""Which addresses an output may be fetched from: a result is somebody else's word, and may name any."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from airflow_provider_segmind.exceptions import OutputRefusedError


@dataclass(frozen=True)
class MediaRules:
    """
    What may be fetched.

    :param loopback: Whether plain http and loopback addresses are allowed, as for an emulator.
    :param private: Whether addresses are allowed that are not of the public internet.
    """

    loopback: bool = False
    private: bool = False

    def checked(self, url: str, request_id: str | None = None) -> str:
        """
        Return an address, if it may be fetched as far as it can be told without a look-up of its name.

        :raises OutputRefusedError: If it may not.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", 0
        if not host or port == 0 or parts.scheme not in ("https", "http") or parts.username or parts.password:
            raise OutputRefusedError(f"{_shown(url)!r} is no https address", request_id=request_id)
        if parts.scheme == "http" and not (self.loopback and _is_loopback(host)):
            raise OutputRefusedError(f"{_shown(url)} is plain http", request_id=request_id)
        if _is_address(host):
            self.check_address(host, request_id)
        return url

    def redirected(self, url: str, location: str, request_id: str | None = None) -> str:
        """Return where a redirect leads, under the same rules."""
        return self.checked(urljoin(url, location), request_id)

    def check_address(self, address: str, request_id: str | None = None) -> None:
        """
        Check what a name has been looked up to be, before anything connects to it.

        :raises OutputRefusedError: If nothing may be fetched from there.
        """
        found = ipaddress.ip_address(address.partition("%")[0].strip("[]"))
        inner = getattr(found, "ipv4_mapped", None) or found
        if self.private or (inner.is_global and not inner.is_multicast) or (self.loopback and inner.is_loopback):
            return
        raise OutputRefusedError(
            f"{address} is no address of the public internet; if that is meant, say "
            '"allow_private_media": true in the extra of the connection',
            request_id=request_id,
        )


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _shown(url: str) -> str:
    """Return an address without its query, which may hold a signature, and without a login."""
    return url.partition("?")[0].rpartition("@")[2][:200]
