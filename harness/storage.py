"""A real S3 server on loopback: moto's."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

KEY = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}

DOWN = {
    "conn_type": "aws",
    "login": "key",
    "password": "secret",
    "extra": {
        "endpoint_url": "http://127.0.0.1:1",
        "region_name": "us-east-1",
        "config_kwargs": {"retries": {"total_max_attempts": 1}},
    },
}
"""The Airflow connection to a server that is down: nothing listens on port 1. It is asked once, without pauses."""


@dataclass(frozen=True)
class S3:
    """
    A bucket in the server.

    :param bucket: As ``boto3`` has it.
    :param connection: The Airflow connection to the server, as the dictionary behind its JSON form.
    """

    bucket: Any
    connection: dict[str, Any]

    def contents(self, prefix: str) -> dict[str, bytes]:
        """Return the content of each object below a prefix, by the rest of its key."""
        found = self.bucket.objects.filter(Prefix=prefix)
        return {each.key.removeprefix(prefix): each.get()["Body"].read() for each in found}

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the size of each object below a prefix, by the rest of its key."""
        return {each.key.removeprefix(prefix): each.size for each in self.bucket.objects.filter(Prefix=prefix)}

    def unfinished_uploads(self) -> int:
        """Return how many uploads were begun and not completed: nobody sees them, but they take space."""
        listed = self.bucket.meta.client.list_multipart_uploads(Bucket=self.bucket.name)
        return len(listed.get("Uploads", []))


@contextmanager
def s3_server(bucket: str) -> Iterator[S3]:
    """Run the server for the length of a ``with`` block, with one empty bucket in it."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        made = boto3.resource("s3", endpoint_url=url, **KEY).create_bucket(Bucket=bucket)
        made.objects.delete()  # all servers of a process have the same buckets, also those that have ended
        for upload in made.multipart_uploads.all():
            upload.abort()
        extra = {"endpoint_url": url, "region_name": KEY["region_name"]}
        yield S3(made, {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra})
    finally:
        server.stop()
