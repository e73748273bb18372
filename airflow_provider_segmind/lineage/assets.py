"""The events of a task's assets."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_segmind.api.locations import Location
from airflow_provider_segmind.api.output import MOST_OUTPUTS, output_urls
from airflow_provider_segmind.api.web_address import is_web_address
from airflow_provider_segmind.compat import Asset, AssetAlias
from airflow_provider_segmind.exceptions import UnusableOutputError

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context
    from airflow_provider_segmind.lineage.delivered import Delivered

_ALLOWED_IN_PATH = "/:@!$&'()*+,;=~"
"""What may stand as it is in the path of a URI, beside letters and digits (RFC 3986)."""

log = logging.getLogger(__name__)


def add_asset_extras(context: Context, outlets: Sequence[Any], delivered: Delivered) -> None:
    """
    Give the events of the assets among a task's outlets their extra, as from :func:`facts_of`.

    An alias gets an event for each stored file, with the URI of the file as the asset. It gets none for an output
    that was not stored: an asset whose URL expires after seven days would stay in Airflow for ever.
    """
    for outlet in outlets:
        if isinstance(outlet, Asset):
            context["outlet_events"][outlet].extra.update(facts_of(delivered))
        elif isinstance(outlet, AssetAlias):
            for asset, facts in _stored_assets(delivered):
                context["outlet_events"][outlet].add(asset, extra=facts)


def suppress_asset_events(task: Any) -> None:
    """
    Have the task that is running emit no event for the assets among its outlets: they have not changed.

    Airflow has no way to ask for that, but each version goes by the outlets that the task has when it ends.
    """
    task.outlets = []


def facts_of(delivered: Delivered) -> dict[str, Any]:
    """Return ``url``, ``output_path``, ``request_id``, ``model`` and ``cost`` (USD), as far as there are any."""
    paths = [each.path for each in delivered.stored]
    facts = {
        "url": delivered.output if _is_address(delivered.output) else None,
        "output_path": paths[0] if len(paths) == 1 else paths or None,
        "request_id": delivered.result.request_id or None,
        "model": delivered.model,
        "cost": delivered.result.metrics.get("cost"),
    }
    return {name: value for name, value in facts.items() if value is not None}


def asset_uri(path: str) -> str:
    """
    Return the URI of a stored file, in ASCII.

    A name may have a ``?`` or a ``#`` in it, after which Airflow would cut a URI off, or letters that a database
    of Airflow's does not take: these are percent-encoded.

    :param path: Where the file is: an object-storage URI or an absolute path, without a login.
    """
    at = Location(path)
    start = "file://" if at.is_local else f"{at.scheme}://{at.bucket.rpartition('@')[2]}/"
    return f"{start}{quote(at.key, safe=_ALLOWED_IN_PATH)}"


def _stored_assets(delivered: Delivered) -> Iterator[tuple[Asset, dict[str, Any]]]:
    """Return an asset for each stored file, and the facts of it. ``cost`` is that of the whole request."""
    for stored, url in zip(delivered.stored, _urls(delivered), strict=True):
        try:
            asset = Asset(uri=asset_uri(stored.path))
        except ValueError as error:  # as of a scheme for which Airflow has rules, or of a URI that is too long
            request_id = delivered.result.request_id
            log.warning("No asset event for %s of request %s: %s", stored.path, request_id, error)
            continue
        facts = facts_of(delivered) | {"output_path": stored.path} | ({"url": url} if url else {})
        yield asset, facts


def _urls(delivered: Delivered) -> Sequence[str | None]:
    """Return the URL of each stored file. They are stored in the order of their URLs."""
    try:
        urls = output_urls(delivered.result)
    except UnusableOutputError:
        urls = []
    return urls if len(urls) == len(delivered.stored) else [None] * len(delivered.stored)


def _is_address(value: object) -> bool:
    """Whether a value is a URL or a list of some: the text of a language model may have megabytes."""
    values = value if isinstance(value, list) else [value]
    return 0 < len(values) <= MOST_OUTPUTS and all(map(is_web_address, values))
