"""Running the emulator in a thread, for tests and notebooks written in synchronous code."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web

from airflow_provider_segmind.emulator.app import create_app
from airflow_provider_segmind.emulator.faults import FaultRule
from airflow_provider_segmind.emulator.settings import DEFAULT_API_KEY, Settings
from airflow_provider_segmind.emulator.state import STATE, EmulatorState
from airflow_provider_segmind.emulator.worlds import CHOICES, DOCUMENTED, World

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

SHUTDOWN_SECONDS = 0.5

_START_SECONDS = 30.0

T = TypeVar("T")


def connection(url: str, api_key: str = DEFAULT_API_KEY, expected_duration: float | None = None) -> dict[str, Any]:
    """The Airflow connection to an emulator at `url`, as the dictionary behind its JSON form.

    :param expected_duration: Seconds that a request usually takes there. Without it, tasks expect the models to
        take as long as at Segmind.
    """
    extra: dict[str, Any] = {"platform_url": url, "storage_url": url}
    if expected_duration is not None:
        extra["expected_duration"] = expected_duration
    return {"conn_type": "segmind", "password": api_key, "host": url, "extra": extra}


class RunningEmulator:
    """A running emulator: where it is, what it saw, and how to steer it. Every method is thread-safe."""

    def __init__(
        self, url: str, settings: Settings, state: EmulatorState, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.url = url
        self.settings = settings
        self.api_key = settings.api_keys[0] if settings.api_keys else DEFAULT_API_KEY
        self.teammate_api_key = next(iter(settings.teammate_keys), None)
        self._state = state
        self._loop = loop

    @property
    def world(self) -> World:
        """What the emulated Segmind does where the evidence leaves it open."""
        return self._in_loop(lambda: self._state.world)

    def change_world(self, world: World | None = None, **changes: Any) -> World:
        """Move to another world until `reset`: the given one or the present one, with these fields changed."""

        def change() -> World:
            self._state.world = (world or self._state.world).changed(changes)
            return self._state.world

        return self._in_loop(change)

    def ledger(self) -> dict[str, Any]:
        """`charges`, `refunds`, `count`, `total`, `submits` and `balance`; money is USD."""
        return self._in_loop(lambda: self._state.ledger.report(self._state.clock.now()))

    def requests(self) -> dict[str, Any]:
        """`total`, `endpoints` and `statuses` (counters) and `log` (the last requests one by one)."""
        return self._in_loop(self._state.requests.report)

    def faults(self, *rules: FaultRule | Mapping[str, Any] | str) -> list[dict[str, Any]]:
        """Arm the given rules, if any, and list all armed ones with how often they fired."""
        parsed = [_rule(rule) for rule in rules]

        def arm() -> list[dict[str, Any]]:
            for rule in parsed:
                self._state.faults.arm(rule)
            return [armed.as_json() for armed in self._state.faults.armed]

        return self._in_loop(arm)

    def clear_faults(self) -> None:
        """Disarm every rule."""
        self._in_loop(lambda: self._state.faults.clear())

    def reset(self) -> None:
        """Forget everything, and return to the faults and the world that the emulator started with."""
        self._in_loop(self._state.reset)

    def advance(self, seconds: float) -> None:
        """Let jobs, retention and rate limits age by `seconds` without waiting."""
        self._in_loop(lambda: self._state.clock.advance(seconds))

    def revoke_key(self, api_key: str) -> None:
        """Answer 401 to this key from now on."""
        self._in_loop(lambda: self._state.keys.revoke(api_key))

    def restore_key(self, api_key: str) -> None:
        """Accept this key again."""
        self._in_loop(lambda: self._state.keys.restore(api_key))

    def connection(self, api_key: str | None = None) -> dict[str, Any]:
        """The Airflow connection to this emulator. Its tasks expect the models to take as long as at Segmind."""
        return connection(self.url, api_key or self.api_key)

    def environment(self, conn_id: str = "segmind_default") -> dict[str, str]:
        """The environment variable that defines an Airflow connection whose tasks expect the emulator's speed."""
        fast = connection(self.url, self.api_key, self.settings.expected_duration)
        return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(fast)}

    def _in_loop(self, work: Callable[[], T]) -> T:
        async def run() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_START_SECONDS)


@contextmanager
def running_emulator(
    settings: Settings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl_context: ssl.SSLContext | None = None,
    **overrides: Any,
) -> Iterator[RunningEmulator]:
    """Run an emulator in a background thread for the length of a `with` block.

    :param settings: How it behaves. Instead, single fields of `Settings` can be given as keyword arguments.
    :param host: Address to listen on.
    :param port: Port to listen on; 0 picks a free one.
    :param ssl_context: Serve HTTPS with this context.
    :param overrides: Fields of `Settings` and of its `world`. `faults` may also hold dictionaries or compact
        strings.
    """
    if settings is None:
        overrides["faults"] = tuple(_rule(rule) for rule in overrides.get("faults", ()))
        answers = {name: overrides.pop(name) for name in CHOICES if name in overrides}
        world = overrides.pop("world", DOCUMENTED).changed(answers)
        settings = Settings(world=world, **overrides)
    elif overrides:
        raise TypeError("pass either settings or single fields, not both")
    thread = _EmulatorThread(settings, host, port, ssl_context)
    thread.start()
    try:
        yield thread.wait_until_started()
    finally:
        thread.stop()


class _EmulatorThread(threading.Thread):
    def __init__(self, settings: Settings, host: str, port: int, ssl_context: ssl.SSLContext | None) -> None:
        super().__init__(name="segmind-emulator", daemon=True)
        self._settings = settings
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._emulator: RunningEmulator | None = None
        self._failure: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # noqa: BLE001 - handed to the thread that waits
            self._failure = failure
        finally:
            self._ready.set()

    def wait_until_started(self) -> RunningEmulator:
        self._ready.wait(_START_SECONDS)
        if self._emulator is None:
            raise RuntimeError("the emulator did not start") from self._failure
        return self._emulator

    def stop(self) -> None:
        if self._loop is not None and self.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self.join(_START_SECONDS)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        app = create_app(self._settings)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port, ssl_context=self._ssl_context)
            await site.start()
            scheme = "https" if self._ssl_context else "http"
            url = f"{scheme}://{self._host}:{runner.addresses[0][1]}"
            self._emulator = RunningEmulator(url, self._settings, app[STATE], self._loop)
            self._ready.set()
            await self._stopping.wait()
        finally:
            await runner.cleanup()


def _rule(rule: FaultRule | Mapping[str, Any] | str) -> FaultRule:
    if isinstance(rule, FaultRule):
        return rule
    return FaultRule.parse(rule) if isinstance(rule, str) else FaultRule.from_json(rule)
