"""What Airflow's providers manager reads about this provider."""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.hooks import form
from airflow_provider_segmind.hooks.connection import CONNECTION_TYPE


def get_provider_info() -> dict[str, Any]:
    """
    Return the metadata that the entry point ``apache_airflow_provider`` promises.

    Airflow 3.2 and later build the connection form from ``conn-fields`` and ``ui-field-behaviour``
    without importing the hook; older versions read the same from the hook's own methods.
    """
    return {
        "package-name": "airflow-provider-segmind",
        "name": "Segmind",
        "description": "Media generation on `Segmind <https://www.segmind.com/>`__ as Airflow tasks.",
        "integrations": [
            {
                "integration-name": "Segmind",
                "external-doc-url": "https://docs.segmind.com/",
                "tags": ["service"],
            }
        ],
        "operators": [
            {
                "integration-name": "Segmind",
                "python-modules": [
                    "airflow_provider_segmind.operators.inference",
                    "airflow_provider_segmind.operators.kling",
                    "airflow_provider_segmind.operators.sync",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": "Segmind",
                "python-modules": [
                    "airflow_provider_segmind.sensors.credits",
                    "airflow_provider_segmind.sensors.request",
                ],
            }
        ],
        "hooks": [
            {
                "integration-name": "Segmind",
                "python-modules": ["airflow_provider_segmind.hooks.segmind"],
            }
        ],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": "airflow_provider_segmind.hooks.segmind.SegmindHook",
                "hook-name": "Segmind",
                "conn-fields": form.FIELDS,
                "ui-field-behaviour": form.BEHAVIOUR,
            }
        ],
        "config": {
            "segmind": {
                "description": "Options of the Segmind provider.",
                "options": {
                    "allowed_local_paths": {
                        "description": (
                            "Folders below which tasks may read images from the disk of a worker, and store "
                            "outputs there: absolute paths with commas between them. Symbolic links are resolved "
                            "first. If it is empty, tasks use no local file at all; ``/`` allows every file that "
                            "the worker may use.\n"
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/data/images,/data/clips",
                        "default": "",
                    }
                },
            }
        },
        "triggers": [
            {
                "integration-name": "Segmind",
                "python-modules": ["airflow_provider_segmind.triggers.request"],
            }
        ],
    }
