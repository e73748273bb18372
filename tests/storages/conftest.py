"""A container of Azurite and a bucket of fake-gcs-server, empty at the beginning of each test."""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# gcsfs asks Google over another protocol, once for each bucket, whether it is a zonal one. No server of ours
# speaks it, and gcsfs tries for a minute. It reads this when it is imported.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

if TYPE_CHECKING:
    from tests.storages.servers import Azure, Google

logging.getLogger("azure").setLevel(logging.WARNING)  # lines for each request of the tests themselves

AZURITE = Path(os.environ.get("AZURITE", "azurite-blob"))
NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def _azurite() -> Iterator[Azure]:
    pytest.importorskip("adlfs", reason="`make test-storages` installs what these tests need")
    from tests.storages.servers import azurite

    with azurite(AZURITE) as server:
        yield server


@pytest.fixture
def azure(_azurite: Azure) -> Azure:
    for each in _azurite.container.list_blobs(include=["uncommittedblobs"]):
        blob = _azurite.container.get_blob_client(each.name)
        blob.commit_block_list([])  # which discards those that were only staged
        blob.delete_blob()
    _reset(_azurite.gate)
    return _azurite


@pytest.fixture
def connect(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], str]:
    """Return what makes an Airflow connection to the container with some rights, and returns its id."""

    def connecting(permission: str | None = None) -> str:
        # Airflow keeps the file system of a connection for as long as the process lives.
        conn_id = f"azure_{next(NUMBERS)}"
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(azure.connection(permission)))
        return conn_id

    return connecting


@pytest.fixture(scope="session")
def _google() -> Iterator[Google]:
    pytest.importorskip("gcsfs", reason="`make test-storages` installs what these tests need")
    from tests.storages.servers import fake_gcs_server

    with fake_gcs_server() as server:
        yield server


@pytest.fixture
def google(_google: Google) -> Google:
    _reset(_google.gate)
    file_system = _file_system(_google)
    for name in _google.contents():
        file_system.rm_file(f"products/{name}")
    _reset(_google.gate)
    return _google


@pytest.fixture
def bucket_of(google: Google) -> Any:
    """The file system of gcsfs, through the gate."""
    return _file_system(google)


def _file_system(google: Google) -> Any:
    import gcsfs

    return gcsfs.GCSFileSystem(
        token="anon", endpoint_url=f"http://{google.gate.address}", skip_instance_cache=True
    )


def _reset(gate: Any) -> None:
    gate.allowed = None
    gate.broken.clear()
    gate.calls.clear()
    gate.sent = 0
