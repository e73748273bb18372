"""What the commands do. Each function takes the arguments as argparse has read them. None submits anything."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.catalogue import Parameter, read_parameters
from airflow_provider_segmind.api.follow import RECORD_LIFETIME, Unfinished
from airflow_provider_segmind.api.names import nearest_name
from airflow_provider_segmind.api.output import output_text, output_urls
from airflow_provider_segmind.api.text import one_line, safe_repr
from airflow_provider_segmind.cli.printing import fields_text, json_text, table_text
from airflow_provider_segmind.compat import use_database
from airflow_provider_segmind.exceptions import (
    InvalidParameterError,
    OutputNotStoredError,
    RefusedError,
    RequestExpiredError,
    RequestFailedError,
    SegmindError,
    UnusableOutputError,
)
from airflow_provider_segmind.hooks.driving import poll_request
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.links import MODEL_PAGE

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.api.history import HistoryEntry

_HEADINGS = {"request_id": "request", "created_at": "submitted", "cost": "USD", "outputs": "output"}

Show = Callable[["Namespace"], None]


class CommandError(Exception):
    """A command cannot do what it was asked for. The text says why."""


def _command(show: Callable[[Namespace, SegmindHook], str]) -> Show:
    """Return a command that ends with a plain message and the exit code 1 if there is an error."""

    @functools.wraps(show)
    def run(arguments: Namespace) -> None:
        use_database()
        try:
            with redirect_stdout(sys.stderr):  # where Airflow would log to the standard output
                text = show(arguments, SegmindHook(arguments.conn_id))
            sys.stdout.write(text)
            sys.stdout.flush()
        except (SegmindError, CommandError) as error:
            sys.stderr.write(f"{error}\n")
            raise SystemExit(1) from None
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        except BrokenPipeError:  # whoever read the output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None

    return run


@_command
def show_models(arguments: Namespace, hook: SegmindHook) -> str:
    """List the models of the catalogue."""
    models = sorted(
        (each for each in hook.get_models() if arguments.contains.lower() in each.slug.lower()),
        key=lambda each: each.slug,
    )
    rows = []
    for model in models:
        known = read_parameters(model)
        rows.append((model.slug, model.retired, sorted(known.parameters) if known else []))
    if arguments.json:
        return json_text(
            [{"slug": slug, "retired": retired, "parameters": names} for slug, retired, names in rows]
        )
    return table_text(
        ("model", "retired", "parameters"), [(slug, retired, ", ".join(names)) for slug, retired, names in rows]
    )


@_command
def show_model(arguments: Namespace, hook: SegmindHook) -> str:
    """Show the parameters of a model."""
    models = {model.slug: model for model in hook.get_models()}
    model = models.get(arguments.slug)
    if model is None:
        nearest = nearest_name(arguments.slug, models)
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        raise CommandError(f"Segmind's catalogue has no model {arguments.slug!r}{hint}")
    known = read_parameters(model)
    parameters = list(known.parameters.values()) if known else []
    page = f"{MODEL_PAGE}{model.slug}"
    if arguments.json:
        return json_text(
            {
                "slug": model.slug,
                "retired": model.retired,
                "page": page,
                "parameters": [
                    {
                        "name": each.name,
                        "required": each.required,
                        "default": each.default,
                        "schema": each.schema,
                        "description": each.description,
                    }
                    for each in parameters
                ],
            }
        )
    about = fields_text({"model": model.slug, "retired": model.retired, "page": page})
    if not parameters:
        return f"{about}The catalogue does not describe its parameters.\n"
    table = table_text(
        ("parameter", "required", "type", "values", "default", "description"),
        [
            (each.name, each.required, _type_of(each), _values_of(each), _default_of(each), each.description)
            for each in parameters
        ],
    )
    return f"{about}\n{table}"


@_command
def show_requests(arguments: Namespace, hook: SegmindHook) -> str:
    """List the requests of the account, the newest first."""
    today = datetime.now(UTC).date()
    page = hook.get_history(
        model=arguments.model,
        status=arguments.status,
        from_date=today - timedelta(days=arguments.days),
        to_date=today,
        per_page=arguments.limit,
        sort_by="model_created",
        sort_order="desc",
    )
    if page.unreadable:
        sys.stderr.write(f"{page.unreadable} rows of the history cannot be read\n")
    if arguments.json:
        return json_text([_entry_as_json(entry) for entry in page.entries])
    return table_text(
        ("request", "submitted", "model", "state", "USD", "seconds", "error"),
        [
            (e.request_id, e.created_at, e.model, e.state, e.cost, e.latency, e.error and one_line(e.error, 60))
            for e in page.entries
        ],
    )


@_command
def show_request(arguments: Namespace, hook: SegmindHook) -> str:
    """Show a request; with ``--download``, store its output."""
    path = None if arguments.download is None else _read_path(arguments.download)
    request_id = arguments.request_id
    entry = _find_entry(request_id, hook)
    report, state, error = _look(request_id, hook)
    about = {
        "request_id": request_id,
        "state": state,
        "model": entry.model if entry else None,
        "created_at": entry.created_at if entry else None,
        "seconds": report.metrics.get("total_time") if report else None,
        "cost": report.metrics.get("cost") if report else None,
        "error": error,
        "parameters": entry.parameters if entry else None,
        "outputs": _outputs(report),
    }
    if entry is not None:
        in_history = {"seconds": entry.latency, "cost": entry.cost, "error": entry.error}
        about.update({name: value for name, value in in_history.items() if about[name] is None})
    stored = [] if path is None else _download(path, report, state, arguments.max_output_bytes, hook)
    if arguments.json:
        return json_text({**about, "stored": stored})
    files = [f"{each['path']} ({each['bytes']:,} bytes)" for each in stored]
    return fields_text({_HEADINGS.get(name, name): value for name, value in about.items()} | {"stored": files})


@_command
def show_credits(arguments: Namespace, hook: SegmindHook) -> str:
    """Show the balance of the account."""
    balance = hook.get_credits()
    if arguments.json:
        return json_text({"credits": balance.balance, "free_credits": balance.free})
    return fields_text({"credits (USD)": balance.balance, "of these free": balance.free or None})


def _find_entry(request_id: str, hook: SegmindHook) -> HistoryEntry | None:
    """Return the request's row in the history, which may come later than the request, or be out of reach."""
    try:
        return hook.get_history_entry(request_id)
    except (RefusedError, RequestExpiredError):
        return None
    except SegmindError as error:  # the gateway may say enough
        sys.stderr.write(f"Without the request history: {error.facts}\n")
        return None


def _look(request_id: str, hook: SegmindHook) -> tuple[RequestReport | None, str, str | None]:
    """
    Return the result of a request, if it has one; its state; and its error.

    :raises SegmindError: If Segmind does not say, or knows no such request.
    """
    try:
        found = poll_request(request_id, RECORD_LIFETIME, hook)
    except RequestFailedError as error:
        return None, "FAILED", error.detail
    if isinstance(found, Unfinished):
        if found.trouble is not None:
            raise found.trouble
        return None, found.state, None
    return found, found.state, None


def _outputs(report: RequestReport | None) -> list[str]:
    if report is None:
        return []
    text = output_text(report)
    if text is not None:
        return [text]
    try:
        return output_urls(report)
    except UnusableOutputError:
        return []


def _read_path(text: str) -> str:
    """Return the absolute path of a file, or of a folder with a slash at its end."""
    if "://" in text:
        raise CommandError(
            f"--download must be a path on this machine, not {safe_repr(text)}. The example DAG "
            "segmind_adopt_request stores the output of a request in an object store"
        )
    path = Path(text).expanduser().resolve()
    return f"{path}/" if text.endswith("/") or path.is_dir() else str(path)


def _download(
    path: str, report: RequestReport | None, state: str, most_bytes: int, hook: SegmindHook
) -> list[dict[str, Any]]:
    """Store the output of a request, as the operators do, and return what was stored."""
    if report is None:
        raise CommandError(f"there is no output to store: the request is {one_line(state) or 'in no state'}")
    # Storages and their libraries take long to import.
    from airflow_provider_segmind.media.output_folders import own_folder
    from airflow_provider_segmind.media.storing import OutputStore

    store = OutputStore(path, None, most_bytes, hook.fetch, folder=own_folder)
    if not path.endswith("/") and store.find_existing():
        raise CommandError(f"{safe_repr(path)} is there already, and is not replaced: choose another name")
    try:
        return [
            {"path": each.path, "bytes": each.size, "sha256": each.sha256, "content_type": each.content_type}
            for each in store.store_result(report)
        ]
    except InvalidParameterError as error:
        raise CommandError(f"--download: {error.problem}") from None
    except OutputNotStoredError as error:
        if not isinstance(error.__cause__, FileExistsError):
            raise
        raise CommandError(
            f"request {report.request_id} has a file at {safe_repr(path)} already, which is not replaced: choose "
            "another path for --download"
        ) from None


def _entry_as_json(entry: HistoryEntry) -> Mapping[str, Any]:
    return {
        "request_id": entry.request_id,
        "state": entry.state,
        "model": entry.model,
        "created_at": entry.created_at,
        "seconds": entry.latency,
        "cost": entry.cost,
        "error": entry.error,
        "parameters": entry.parameters,
        "outputs": entry.output_urls,
    }


def _type_of(parameter: Parameter) -> str:
    types = list(parameter.schema.get("type", ()))
    for form in parameter.schema.get("anyOf", ()):
        types += form.get("type", ())
    return " or ".join(dict.fromkeys(types))


def _default_of(parameter: Parameter) -> str:
    return "" if parameter.default is None else json.dumps(parameter.default)


def _values_of(parameter: Parameter) -> str:
    schema = parameter.schema
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    return "" if least is most is None else f"{_bound(least)} to {_bound(most)}"


def _bound(bound: float | None) -> str:
    return "…" if bound is None else f"{bound:g}"
