"""The connection form: described once, in the words of Airflow 3.2 and later, and translated for older ones."""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.api.expectation import LONGEST_DURATION, SHORTEST_DURATION
from airflow_provider_segmind.hooks.names import (
    CONNECT_TIMEOUT,
    DEFAULT_CALL_TIMEOUT,
    GATEWAY_URL,
    PLATFORM_URL,
    RATE_RANGE,
    STORAGE_URL,
    TIMEOUT_RANGE,
)

_DURATION_RANGE = (SHORTEST_DURATION, LONGEST_DURATION)


def _number(bounds: tuple[float, float]) -> dict[str, Any]:
    return {"type": ["number", "null"], "minimum": bounds[0], "maximum": bounds[1]}


def _range(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:,g} to {bounds[1]:,g}"


FIELDS: dict[str, dict[str, Any]] = {
    "requests_per_minute": {
        "label": "Requests per minute",
        "schema": _number(RATE_RANGE),
        "description": f"What the API key allows, {_range(RATE_RANGE)}. Segmind's plans have 5 to 1,000.",
    },
    "rate_limit_conn_id": {
        "label": "Redis for the rate limit",
        "schema": {"type": ["string", "null"]},
        "description": (
            "An Airflow connection of the type redis: workers and triggerers on all machines share the key's rate "
            "limit there. Needs the extra [redis]. Default: each machine has its own."
        ),
    },
    "timeout": {
        "label": "Timeout",
        "schema": _number(TIMEOUT_RANGE),
        "description": (
            f"Seconds for one HTTP call, {_range(TIMEOUT_RANGE)}. Default {DEFAULT_CALL_TIMEOUT:.0f}; connecting "
            f"takes at most {CONNECT_TIMEOUT:.0f} of them."
        ),
    },
    "allow_private_media": {
        "label": "Fetch outputs from private addresses",
        "schema": {"type": ["boolean", "null"]},
        "description": "With output_path: also from hosts that are not of the public internet. Default false.",
    },
    "allow_insecure_http": {
        "label": "Allow http:// addresses",
        "schema": {"type": ["boolean", "null"]},
        "description": (
            "Send the API key unencrypted, to plain http:// addresses of other machines. Default false; "
            "addresses of this machine need no permission."
        ),
    },
    "platform_url": {
        "label": "Platform URL",
        "schema": {"type": ["string", "null"]},
        "description": f"Request history and model catalogue. Default {PLATFORM_URL}, or the host if it is set.",
    },
    "storage_url": {
        "label": "Storage URL",
        "schema": {"type": ["string", "null"]},
        "description": f"Uploads. Default {STORAGE_URL}, or the host if it is set.",
    },
    "verify": {
        "label": "Verify certificates",
        "schema": {"type": ["string", "null"]},
        "description": "true, false, or the absolute path of a CA bundle or of a folder of hashed certificates.",
    },
    "proxies": {
        "label": "Proxies",
        "schema": {"type": ["string", "null"]},
        "description": 'A JSON object such as {"https": "http://proxy.example:3128"}. Default: the environment.',
    },
    "expected_duration": {
        "label": "Expected duration",
        "schema": _number(_DURATION_RANGE),
        "description": (
            f"Only for an emulator: seconds that each request takes, {_range(_DURATION_RANGE)}. For Segmind, set "
            "it in the task."
        ),
    },
}
"""Fields of the connection's extra that the form shows as separate fields."""

BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "login", "port"],
    "relabeling": {"password": "API key", "host": "Gateway URL"},
    "placeholders": {
        "password": "SG_…",
        "host": GATEWAY_URL,
    },
}
"""What the form does with Airflow's own fields."""


def widgets() -> dict[str, Any]:
    """Return the fields for the form of Airflow 2.11, whose web server has Flask AppBuilder."""
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from flask_babel import lazy_gettext
    from wtforms import StringField
    from wtforms.validators import Optional

    return {
        name: StringField(  # Airflow takes no field for fractions, and numbers may be written as text
            lazy_gettext(field["label"]),
            widget=BS3TextFieldWidget(),
            description=field["description"],
            validators=[Optional()],
        )
        for name, field in FIELDS.items()
    }


def behaviour() -> dict[str, Any]:
    """Return the behaviour with the names that the hook's method has for it."""
    return {name.replace("-", "_"): value for name, value in BEHAVIOUR.items()}
