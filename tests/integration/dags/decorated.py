"""Functions under ``@task.segmind``, with what they return from the conf of the run, and a note of each call."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

from airflow_provider_segmind.compat import DAG, Asset, get_current_context, task

KLING = "kling-o1-image-to-video"
IMAGE = "https://example.com/a.png"
MADE = Asset("decorated_clip")
OPTIONS = {"deferrable": True, "render_returned": False, "name_output_after": None, "on_changed_parameters": None}

given = json.loads(os.environ.get("SEGMIND_TEST_CONF", "{}"))
options = {name: given.get(name, value) for name, value in OPTIONS.items()}


def note(path: str, what: str) -> None:
    """Write down that a function ran."""
    with Path(path).open("a") as file:
        file.write(f"{what}\n")


with DAG("decorated", schedule=None, params={"calls": "", "returned": {}, "output_path": "", "fail": ""}):

    @task.segmind(
        model=KLING,
        output_path="{{ params.output_path }}",
        retries=2,
        retry_delay=timedelta(0),
        poll_interval=0.1,
        timeout=60,
        expected_duration=20,
        **options,
    )
    def clip(params=None, ti=None) -> dict:
        """Describe the clip."""
        note(params["calls"], f"attempt {ti.try_number}")
        if params["fail"] == str(ti.try_number):
            raise RuntimeError("the table is gone")
        return params["returned"] or {"prompt": f"attempt {ti.try_number}", "start_image_url": IMAGE}

    @task
    def publish(url: str) -> str:
        """Return what the clip's task has returned."""
        return url

    publish(clip())

with DAG("decorated_any_model", schedule=None, params={"calls": "", "prompt": "a fox", "output_path": ""}):

    @task.segmind(
        model="{{ 'fast-text-to-image' }}",
        output_path="{{ params.output_path }}",
        poll_interval=0.1,
        expected_duration=20,
        upload=given.get("upload", []),
    )
    def picture(prompt, samples=1):
        """Describe the picture."""
        context = get_current_context()
        note(context["params"]["calls"], context["ti"].task_id)
        images = {"image": given["image"]} if "image" in given else {}
        return {"prompt": prompt, "samples": samples, **images}

    picture("{{ params.prompt }}", samples=2)

with DAG("decorated_mapped", schedule=None, params={"prompts": [], "calls": "", "prefix": "from-conf"}):

    @task
    def find_prompts(params=None):
        """Return what is in the conf."""
        return params["prompts"]

    @task
    def find_rows(params=None):
        """Return the same, as the arguments of a function."""
        return [{"prompt": prompt} for prompt in params["prompts"]]

    @task.segmind(model="mock-text", poll_interval=0.1, expected_duration=20)
    def text(prompt, style="plain", params=None, ti=None):
        """Describe the text."""
        note(params["calls"], f"{ti.task_id} {ti.map_index}")
        return {"messages": [{"content": prompt}], "style": style}

    text.override(task_id="expand").partial(style="{{ params.prefix }}").expand(prompt=find_prompts())
    text.override(task_id="expand_kwargs").partial(style="{{ params.prefix }}").expand_kwargs(find_rows())
    text.override(task_id="written").expand(prompt=["{{ params.prefix }}"])
    text.override(task_id="written_kwargs").expand_kwargs([{"prompt": "{{ params.prefix }}"}])
    text.override(task_id="argument")(find_prompts())

with DAG("decorated_event", schedule=None):

    @task.segmind(model=KLING, poll_interval=0.1, expected_duration=0.3, outlets=[MADE])
    def announced():
        """Describe the clip."""
        return {"prompt": "zoom", "start_image_url": IMAGE}

    announced()

with DAG("decorated_reader", schedule=None):

    @task(inlets=[MADE])
    def read():
        """Return the URI and the extra of each event."""
        events = get_current_context()["inlet_events"][MADE]
        return [[(event.asset if hasattr(event, "asset") else event.dataset).uri, event.extra] for event in events]

    read()
