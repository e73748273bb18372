"""
Pin what each Airflow is tested with: as an index has it today, as it had it on the day of that Airflow's release,
and for the oldest one beside the lowest versions that pyproject.toml allows. Run by ``make constraints``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

AIRFLOWS = {"2.11": "2.11.2", "3.0": "3.0.6", "3.1": "3.1.8", "3.2": "3.2.2", "3.3": "3.3.2"}
DATES = {"2.11": "2026-03-15", "3.0": "2025-09-01", "3.1": "2026-03-13", "3.2": "2026-05-31", "3.3": "2026-09-19"}
# An index answers with a beta only where one is asked for, so each part of Airflow is named.
BETAS = ("apache-airflow>=3.4.0b1", "apache-airflow-core>=3.4.0b1", "apache-airflow-task-sdk>=1.4.0b1")
# These only help to test: they are newer than most of these Airflows. The client is what the emulator is compared
# with, and the other one repeats failed tests, which its versions of 2025 could not do on several processes.
TOOLS = ("segmind", "pytest-rerunfailures")
TOOLS_DATE = "2026-10-01"
# What an Airflow of its day did not know yet: it installs, but no task of it can start. Airflow 3.0 and 3.1 keep
# starlette below 0.49.1, the first without CVE-2025-62727, which concerns servers of files: the tests are none.
CAPS = {
    "3.0": ("fastapi<0.117", "starlette<0.48", "pydantic<2.12"),
    "3.2": ("fastapi<0.137", "pydantic<2.13", "cadwyn<6.2", "svcs<26"),
}
EXTRAS = ("emulator", "redis")
GROUPS = ("test", "check", "postgres", "bench")
DATED_GROUPS = ("test", "postgres")
MORE_DATED_GROUPS = {"3.0": ("storage",)}
"""For a watch that keeps in a bucket what it has reported: in Airflow 3.0, a look at a connection could hang."""
NEWEST_GROUPS = ("browser", "celery", "docs", "mutants", "storage")
NEWEST_EXTRAS = ("openlineage",)
"""With today's packages, only the newest Airflow is tested with these, as with its groups."""
ALL_EXTRAS = (*EXTRAS, *NEWEST_EXTRAS)
LOWEST_HEADER = """\
# What `make test-lowest` installs beside the lowest version of each package that the provider names:
# the newest that these and Airflow {airflow} allow. Written by constraints/pin.py.
# What the provider names is left out on purpose: a floor that is lowered in pyproject.toml is one that is tested.
"""
STORAGES_HEADER = """\
# What `make test-storages` installs beside {beside}. Written by constraints/pin.py.
"""
HERE = Path(__file__).parent
UV = Path(sys.executable).with_name("uv")


def pin(series: str, version: str) -> None:
    """Write the constraints of one Airflow: one file for Python 3.11 and later."""
    newest = series == max(AIRFLOWS, key=_number)
    groups = GROUPS + (NEWEST_GROUPS if newest else ())
    extras = EXTRAS + (NEWEST_EXTRAS if newest else ())
    wanted = [f"apache-airflow=={version}", *CAPS.get(series, ())]
    _compile(f"airflow-{series}.txt", wanted, *_project(extras, groups))


def pin_dated(series: str, date: str) -> None:
    """Write what there was on the day of an Airflow's release, as in an installation without upgrades since."""
    tools = (part for tool in TOOLS for part in ("--exclude-newer-package", f"{tool}={TOOLS_DATE}"))
    then = ("--exclude-newer", date, *tools)
    wanted = [f"apache-airflow=={AIRFLOWS[series]}"]
    groups = (*DATED_GROUPS, *MORE_DATED_GROUPS.get(series, ()))
    _compile(f"dated-{series}.txt", wanted, *then, *_project(ALL_EXTRAS, groups))


def pin_newest() -> None:
    """Write the newest of everything that can be had, of Airflow its betas, too."""
    _compile("dated-newest.txt", list(BETAS), *_project(ALL_EXTRAS, (*DATED_GROUPS, "browser")))


def pin_lowest() -> None:
    """Write what stands beside the lowest versions of what the package needs. The tools of the tests are new."""
    pyproject = tomllib.loads((HERE.parent / "pyproject.toml").read_text())
    extras = pyproject["project"]["optional-dependencies"].values()
    needed = [*pyproject["project"]["dependencies"], *(each for extra in extras for each in extra)]
    lowest = [each.replace(">=", "==") for each in needed]
    left_out = (part for each in lowest for part in ("--no-emit-package", each.partition("==")[0]))
    output = _compile("lowest.txt", [*lowest, *pyproject["dependency-groups"]["test"]], *left_out)
    pins = [line for line in output.read_text().splitlines() if line and not line.startswith("#")]
    (airflow,) = (each.partition("==")[2] for each in lowest if each.startswith("apache-airflow=="))
    output.write_text(LOWEST_HEADER.format(airflow=airflow) + "\n".join(pins) + "\n")


def pin_storages() -> None:
    """Write what ``make test-storages`` installs beside what the newest Airflow is tested with."""
    newest = max(AIRFLOWS, key=_number)
    beside = HERE / f"airflow-{newest}.txt"
    wanted = [f"apache-airflow=={AIRFLOWS[newest]}"]
    arguments = _project(ALL_EXTRAS, ("test", "storages"))
    output = _compile("storages.txt", wanted, "--constraint", str(beside), *arguments)
    known = set(beside.read_text().splitlines())
    pins = [line for line in output.read_text().splitlines() if line not in known]
    output.write_text(STORAGES_HEADER.format(beside=beside.name) + "\n".join(pins) + "\n")


def _project(extras: Sequence[str], groups: Sequence[str]) -> Iterator[str]:
    """Yield the arguments that ask for the provider itself."""
    yield "pyproject.toml"
    for extra in extras:
        yield from ("--extra", extra)
    for group in groups:
        yield from ("--group", group)


def _compile(name: str, wanted: Sequence[str], *arguments: str) -> Path:
    """Write the pins of what is wanted to a file beside this one, and return it."""
    output = HERE / name
    with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
        file.write("\n".join(wanted))
        file.flush()
        command = [
            *(str(UV), "pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", "3.11"),
            *("--no-header", "--no-annotate", "--no-emit-index-url", *arguments),
            *(file.name, "--output-file", str(output)),
        ]
        subprocess.run(command, check=True, cwd=HERE.parent)  # noqa: S603 - our own arguments
    return output


def _number(series: str) -> tuple[int, ...]:
    return tuple(map(int, series.split(".")))


if __name__ == "__main__":
    for series, version in AIRFLOWS.items():
        pin(series, version)
    for series, date in DATES.items():
        pin_dated(series, date)
    pin_newest()
    pin_lowest()
    pin_storages()
