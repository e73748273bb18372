"""What Airflow's providers manager reads about this provider."""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.hooks import form
from airflow_provider_segmind.hooks.names import CONNECTION_TYPE


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
                "how-to-guide": [
                    "/docs/howto/kling.md",
                    "/docs/howto/inference.md",
                    "/docs/howto/pixelflow.md",
                    "/docs/howto/sync.md",
                    "/docs/howto/decorator.md",
                    "/docs/howto/request-sensor.md",
                    "/docs/howto/credits-sensor.md",
                    "/docs/howto/asset-watcher.md",
                    "/docs/howto/hook.md",
                    "/docs/howto/command-line.md",
                    "/docs/howto/recipes.md",
                ],
                "tags": ["service"],
            }
        ],
        "operators": [
            {
                "integration-name": "Segmind",
                "python-modules": [
                    "airflow_provider_segmind.operators.inference",
                    "airflow_provider_segmind.operators.kling",
                    "airflow_provider_segmind.operators.pixelflow",
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
        # Airflow 3.2 and later ask for these. `python -m airflow_provider_segmind` has them on every version.
        "cli": ["airflow_provider_segmind.cli.definition.get_segmind_commands"],
        "task-decorators": [
            {
                "name": "segmind",
                "class-name": "airflow_provider_segmind.decorators.segmind.segmind_task",
            }
        ],
        "plugins": [
            {
                "name": "segmind",
                "plugin-class": "airflow_provider_segmind.plugins.segmind_plugin.SegmindPlugin",
            }
        ],
        "extra-links": [
            "airflow_provider_segmind.links.KlingModelLink",
            "airflow_provider_segmind.links.SegmindModelLink",
            "airflow_provider_segmind.links.SegmindOutputLink",
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
                    },
                    "records_path": {
                        "description": (
                            "A folder for the records of paid requests, one small JSON file for each task "
                            "instance: an object-storage URI, or an absolute path that all workers share. If it "
                            "is empty, Airflow 3.3 keeps them in its task state store; other versions in "
                            "``.segmind/`` next to a task's ``output_path``. It is read when a task runs. Watches "
                            "of an account keep there what they have reported, and read it when they start.\n"
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "s3://data-platform/segmind-records/",
                        "default": "",
                    },
                    "records_conn_id": {
                        "description": (
                            "The Airflow connection to the storage of ``records_path``. If it is empty, the "
                            "storage's default connection.\n"
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "aws_records",
                        "default": "",
                    },
                    "max_cost_per_run": {
                        "description": (
                            "USD that the tasks of a DAG run may cost together. It needs ``records_path``, and "
                            "the price of a request: a task's ``expected_cost``, where it is not known. If it is "
                            "empty, only tasks with the argument ``max_cost_per_run`` are limited; of both, the "
                            "lower one counts. It is read when a task runs.\n"
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "100",
                        "default": "",
                    },
                    "output_tab": {
                        "description": (
                            "Whether the page of a task has the tab ``Segmind``, with its output and its cost: "
                            "``True`` or ``False``. If it is empty, Airflow 3.4 shows it, on the tasks of this "
                            "provider. Airflow 3.1 to 3.3 show it only if this is ``True``, and then on all "
                            "tasks; older ones have no such tabs. The API server reads it when it starts.\n"
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "True",
                        "default": "",
                    },
                    "account_page": {
                        "description": (
                            "Whether the navigation has the page ``Segmind``, with the requests, the cost and the "
                            "balance of an account, from Airflow 3.1 on: ``True`` or ``False``. It shows an "
                            "account to readers who may read its connection. The API server reads it when it "
                            "starts.\n"
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "False",
                        "default": "True",
                    },
                    "deferrable": {
                        "description": (
                            "Whether tasks wait in the triggerer, ``True`` or ``False``, if their DAG does not "
                            "say. If it is empty, ``[operators] default_deferrable`` decides, if this deployment "
                            "sets it; if it does not, tasks are deferred. Set it to ``False`` if no triggerer "
                            "runs. It is read when a DAG is parsed.\n"
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "False",
                        "default": "",
                    },
                },
            }
        },
        "triggers": [
            {
                "integration-name": "Segmind",
                "python-modules": [
                    "airflow_provider_segmind.triggers.rate_limit",
                    "airflow_provider_segmind.triggers.request",
                    "airflow_provider_segmind.triggers.request_ended",
                    "airflow_provider_segmind.triggers.unresolved_submit",
                ],
            }
        ],
    }
