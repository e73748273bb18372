"""Which TLS certificates are trusted: one rule for workers, the triggerer and downloads."""

from __future__ import annotations

import ssl
from pathlib import Path

import certifi


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
