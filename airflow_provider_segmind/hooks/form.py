"""The connection form: described once, in the words of Airflow 3.2 and later, and translated for older ones."""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.hooks.connection import (
    CONNECT_TIMEOUT,
    DEFAULT_TIMEOUT,
    GATEWAY_URL,
    PLATFORM_URL,
    RATE_RANGE,
    STORAGE_URL,
    TIMEOUT_RANGE,
)

FIELDS: dict[str, dict[str, Any]] = {
    "requests_per_minute": {
        "label": "Requests per minute",
        "schema": {"type": ["number", "null"], "minimum": RATE_RANGE[0], "maximum": RATE_RANGE[1]},
        "description": "What the API key allows, by your plan (5 to 120).",
    },
    "timeout": {
        "label": "Timeout",
        "schema": {"type": ["number", "null"], "minimum": TIMEOUT_RANGE[0], "maximum": TIMEOUT_RANGE[1]},
        "description": (
            f"Seconds for one HTTP call, 0.1 to 3600. Default {DEFAULT_TIMEOUT:.0f}; connecting takes at most "
            f"{CONNECT_TIMEOUT:.0f} of them."
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
        "description": f"Request history and model catalogue. Default {PLATFORM_URL}.",
    },
    "storage_url": {
        "label": "Storage URL",
        "schema": {"type": ["string", "null"]},
        "description": f"Uploads. Default {STORAGE_URL}.",
    },
}
"""Fields of the connection's extra that have a place of their own in the form."""

BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "login", "port"],
    "relabeling": {"password": "API key", "host": "Gateway URL"},
    "placeholders": {
        "password": "SG_…",
        "host": GATEWAY_URL,
        "extra": '{"verify": "/etc/ssl/ca.pem", "proxies": {"https": "http://proxy.example:3128"}}',
    },
}
"""What the form does with Airflow's own fields."""


def widgets() -> dict[str, Any]:
    """Return the fields for the form of Airflow 2.11, whose web server has Flask AppBuilder."""
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from flask_babel import lazy_gettext
    from wtforms import IntegerField, StringField
    from wtforms.validators import Optional

    return {
        name: (IntegerField if "number" in field["schema"]["type"] else StringField)(
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
