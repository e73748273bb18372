"""What is known of a connection without reading one: names, addresses, limits. Parsing a DAG needs no more."""

from __future__ import annotations

CONNECTION_TYPE = "segmind"
DEFAULT_CONNECTION_ID = "segmind_default"
API_KEY_VARIABLE = "SEGMIND_API_KEY"

GATEWAY_URL = "https://api.segmind.com"
PLATFORM_URL = "https://api.spotprod.segmind.com"
STORAGE_URL = "https://workflows-api.segmind.com"

DEFAULT_CALL_TIMEOUT = 30.0
CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a connection at most, so that a dead host is known before ``timeout`` is over."""

TIMEOUT_RANGE = (0.1, 3600.0)
"""Seconds for one HTTP call."""

RATE_RANGE = (0.1, 100_000.0)
"""Requests a minute."""
