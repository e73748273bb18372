"""What the rivals know of Segmind: where it is, and two addresses."""

from __future__ import annotations

from dataclasses import dataclass

from airflow.providers.common.compat.connection import get_async_connection

POLL_SECONDS = 2.0
"""The interval in the sample on the model's page."""


@dataclass(frozen=True)
class Gateway:
    """Where Segmind is, and the key."""

    url: str
    headers: dict[str, str]

    def status(self, request_id: str) -> str:
        """Return the address of a request's status."""
        return f"{self.url}/v2/requests/{request_id}/status"

    def result(self, request_id: str) -> str:
        """Return the address of a request's result."""
        return f"{self.url}/v2/requests/{request_id}"


async def looked_up(conn_id: str) -> Gateway:
    """Look the connection up, as a trigger does when it starts."""
    defined = await get_async_connection(conn_id)
    return Gateway(str(defined.host), {"x-api-key": str(defined.password)})
