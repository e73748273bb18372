"""The command line: `python -m airflow_provider_segmind.emulator`."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from typing import TYPE_CHECKING

from aiohttp import web

from airflow_provider_segmind.emulator.app import create_app
from airflow_provider_segmind.emulator.faults import FaultRule
from airflow_provider_segmind.emulator.models import Modality, Model, stand_in
from airflow_provider_segmind.emulator.running import SHUTDOWN_SECONDS, connection
from airflow_provider_segmind.emulator.settings import DEFAULT_API_KEY, TEAMMATE_API_KEY, Settings
from airflow_provider_segmind.emulator.worlds import CHOICES, DOCUMENTED, World

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEFAULT = "(default %(default)s)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the emulator until SIGINT or SIGTERM."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        settings = _settings(options)
    except ValueError as problem:
        parser.error(str(problem))
    try:
        asyncio.run(_serve(settings, options.host, options.port, quiet=options.quiet))
    except OSError as problem:
        sys.stderr.write(f"cannot listen on {options.host}:{options.port}: {problem}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_segmind.emulator",
        description="A local Segmind for demos and tests.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    add("--port", type=int, default=8088, help="port to listen on, 0 for a free one (default %(default)s)")
    add("--time-scale", type=float, default=defaults.time_scale, help="multiplies every duration of a job")
    add("--seed", type=int, help="repeat latencies, seeds and fault probabilities")
    add("--credits", type=float, default=defaults.credits, help="balance in USD (default %(default)s)")
    add("--requests-per-minute", type=int, metavar="N", help="limit per API key (default: none)")
    add("--rate-window", type=float, default=defaults.rate_window, metavar="SECONDS", help="length of its window")
    add("--retention", type=float, default=defaults.retention, metavar="SECONDS", help="life of a request id")
    add("--latency", type=float, metavar="SECONDS", help="fixed job duration, before --time-scale")
    add("--latency-sigma", type=float, default=defaults.latency_sigma, help="spread of the drawn durations")
    add("--fault", action="append", default=[], metavar="RULE", help="such as on=submit,status=503,count=2")
    add("--model", action="append", default=[], metavar="SLUG=MODALITY", help="add a model to the catalogue")
    add("--api-keys", metavar="KEY,KEY", help="accept only these keys")
    add("--teammate-keys", default=TEAMMATE_API_KEY, metavar="KEY,KEY", help="keys of teammates")
    add(
        "--fetch-images",
        action=argparse.BooleanOptionalAction,
        default=defaults.fetch_images,
        help="make videos from images on any host",
    )
    add("--quiet", action="store_true", help="print the first line only")
    _add_world(parser)
    return parser


def _add_world(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each field of a world."""
    group = parser.add_argument_group("worlds", "what the evidence about Segmind leaves open")
    for name, choices in CHOICES.items():
        flag, default = f"--{name.replace('_', '-')}", getattr(DOCUMENTED, name)
        if not choices:
            group.add_argument(flag, type=float, default=default, metavar="SECONDS", help=_DEFAULT)
        elif isinstance(default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=_DEFAULT)
        else:
            group.add_argument(flag, type=type(default), choices=choices, default=default, help=_DEFAULT)


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        time_scale=options.time_scale,
        seed=options.seed,
        credits=options.credits,
        requests_per_minute=options.requests_per_minute,
        rate_window=options.rate_window,
        retention=options.retention,
        latency=options.latency,
        latency_sigma=options.latency_sigma,
        api_keys=tuple(options.api_keys.split(",")) if options.api_keys else None,
        teammate_keys=tuple(options.teammate_keys.split(",")),
        fetch_images=options.fetch_images,
        world=World(**{name: getattr(options, name) for name in CHOICES}),
        faults=tuple(FaultRule.parse(text) for text in options.fault),
        models=tuple(_model(text) for text in options.model),
    )


def _model(text: str) -> Model:
    slug, equals, modality = text.partition("=")
    if not equals or modality not in set(Modality):
        raise ValueError(f"--model takes SLUG=MODALITY, one of {', '.join(Modality)}; got {text!r}")
    return stand_in(slug, modality)


async def _serve(settings: Settings, host: str, port: int, *, quiet: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    runner = web.AppRunner(
        create_app(settings, echo=not quiet), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        url = f"http://{host}:{runner.addresses[0][1]}"
        _say(f"Segmind emulator listening on {url}")
        if not quiet:
            api_key = settings.api_keys[0] if settings.api_keys else DEFAULT_API_KEY
            shown = connection(url, api_key, settings.expected_duration)
            _say("Point Airflow at it:")
            _say(f"  export AIRFLOW_CONN_SEGMIND_DEFAULT='{json.dumps(shown)}'")
            _say(f"What it charged: {url}/__emulator__/ledger   What it was asked: {url}/__emulator__/requests")
            _say("Ctrl-C stops it.")
        await stopped.wait()
    finally:
        await runner.cleanup()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
