"""Emulators on loopback, clients for them, and the way from Segmind's host names to a local port."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import pytest
import trustme

from airflow_provider_segmind.emulator import RunningEmulator, World, running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEGMIND_HOSTS = ("api.segmind.com", "api.spotprod.segmind.com", "workflows-api.segmind.com")
KLING = "kling-o1-image-to-video"


class Start(Protocol):
    def __call__(self, **settings: Any) -> Client: ...


class Client:
    """A plain HTTP client for one emulator, with the emulator itself at hand."""

    def __init__(self, emulator: RunningEmulator) -> None:
        self.emulator = emulator
        self.http = httpx.Client(
            base_url=emulator.url,
            headers={"x-api-key": emulator.api_key},
            trust_env=False,
            verify=False,  # noqa: S501 - plain HTTP; loading certificates for it takes longer than most tests
            timeout=10,
        )

    def submit(self, model: str = KLING, **parameters: Any) -> httpx.Response:
        return self.http.post(f"/v2/{model}", json=parameters or self.kling())

    def submitted(self, model: str = KLING, **parameters: Any) -> str:
        response = self.submit(model, **parameters)
        assert response.status_code == 200, response.text
        return response.json()["request_id"]

    def status(self, request_id: str) -> httpx.Response:
        return self.http.get(f"/v2/requests/{request_id}/status")

    def result(self, request_id: str) -> httpx.Response:
        return self.http.get(f"/v2/requests/{request_id}")

    @staticmethod
    def kling(**changes: Any) -> dict[str, Any]:
        return {"prompt": "a bud opens", "start_image_url": "https://example.com/a.png", **changes}


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts an emulator with the given settings and returns a client for it."""
    with ExitStack() as stack:

        def begin(**settings: Any) -> Client:
            settings.setdefault("seed", 7)
            client = Client(stack.enter_context(running_emulator(**settings)))
            stack.callback(client.http.close)
            return client

        yield begin


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def segmind_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server context with a certificate for Segmind's own host names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*SEGMIND_HOSTS, "127.0.0.1").configure_cert(context)
    return context


@contextmanager
def tunnel(port: int) -> Iterator[str]:
    """A CONNECT proxy that leads every host to a local port. Yields its URL."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stopped = asyncio.Event()
    address: list[str] = []
    open_ends: set[asyncio.StreamWriter] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if not request.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        open_ends.update((writer, far_writer))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    async def serve() -> None:
        server = await asyncio.start_server(connect, "127.0.0.1", 0)
        address.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        ready.set()
        await stopped.wait()
        server.close()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        for writer in open_ends:
            writer.close()
        loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop), return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(10)


@pytest.fixture
def world() -> World:
    """The Segmind that `segmind_host` is."""
    return World()


@pytest.fixture
def segmind_host(
    world: World,
    segmind_tls: ssl.SSLContext,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[RunningEmulator]:
    """An emulator that answers, in this process, for every host name of Segmind."""
    certificate = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(certificate))
    with (
        running_emulator(ssl_context=segmind_tls, world=world, latency=0.0, seed=7) as emulator,
        tunnel(int(emulator.url.rpartition(":")[2])) as proxy,
    ):
        for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("https_proxy", proxy)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        yield emulator
