"""
Pin what each Airflow is tested with, as an index has it today, and what the oldest one is tested with beside the
lowest versions that pyproject.toml allows. Run by ``make constraints``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

AIRFLOWS = {"2.11": "2.11.2", "3.0": "3.0.6", "3.1": "3.1.8", "3.2": "3.2.2", "3.3": "3.3.2"}
# What an Airflow of its day did not know yet: it installs, but no task of it can start. Airflow 3.0 and 3.1 keep
# starlette below 0.49.1, the first without CVE-2025-62727, which concerns servers of files: the tests are none.
CAPS = {
    "3.0": ("fastapi<0.117", "starlette<0.48", "pydantic<2.12"),
    "3.2": ("fastapi<0.137", "pydantic<2.13", "cadwyn<6.2", "svcs<26"),
}
EXTRAS = ("emulator",)
GROUPS = ("test", "check", "postgres", "bench")
NEWEST_GROUPS = ("storage",)
NEWEST_EXTRAS = ("openlineage",)
"""Only the newest Airflow is tested with these, as with its groups."""
LOWEST_HEADER = """\
# What `make test-lowest` installs beside the lowest version of each package that the provider names:
# the newest that these and Airflow {airflow} allow. Written by constraints/pin.py.
# What the provider names is left out on purpose: a floor that is lowered in pyproject.toml is one that is tested.
"""
HERE = Path(__file__).parent
UV = Path(sys.executable).with_name("uv")


def pin(series: str, version: str) -> None:
    """Write the constraints of one Airflow: one file for Python 3.11 and later."""
    newest = series == max(AIRFLOWS, key=_number)
    groups = GROUPS + (NEWEST_GROUPS if newest else ())
    extras = EXTRAS + (NEWEST_EXTRAS if newest else ())
    with tempfile.NamedTemporaryFile("w", suffix=".in") as wanted:
        wanted.write("\n".join([f"apache-airflow=={version}", *CAPS.get(series, ())]))
        wanted.flush()
        command = [
            *(str(UV), "pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", "3.11"),
            *("--no-header", "--no-annotate", "--no-emit-index-url"),
            *(part for extra in extras for part in ("--extra", extra)),
            *(part for group in groups for part in ("--group", group)),
            *("pyproject.toml", wanted.name),
            *("--output-file", str(HERE / f"airflow-{series}.txt")),
        ]
        subprocess.run(command, check=True, cwd=HERE.parent)  # noqa: S603 - our own arguments


def pin_lowest() -> None:
    """Write what stands beside the lowest versions of what the package needs. The tools of the tests are new."""
    pyproject = tomllib.loads((HERE.parent / "pyproject.toml").read_text())
    extras = pyproject["project"]["optional-dependencies"].values()
    needed = [*pyproject["project"]["dependencies"], *(each for extra in extras for each in extra)]
    lowest = [each.replace(">=", "==") for each in needed]
    output = HERE / "lowest.txt"
    with tempfile.NamedTemporaryFile("w", suffix=".in") as wanted:
        wanted.write("\n".join([*lowest, *pyproject["dependency-groups"]["test"]]))
        wanted.flush()
        command = [
            *(str(UV), "pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", "3.11"),
            *("--no-header", "--no-annotate", "--no-emit-index-url"),
            *(part for each in lowest for part in ("--no-emit-package", each.partition("==")[0])),
            *(wanted.name, "--output-file", str(output)),
        ]
        subprocess.run(command, check=True, cwd=HERE.parent)  # noqa: S603 - our own arguments
    pins = [line for line in output.read_text().splitlines() if line and not line.startswith("#")]
    (airflow,) = (each.partition("==")[2] for each in lowest if each.startswith("apache-airflow=="))
    output.write_text(LOWEST_HEADER.format(airflow=airflow) + "\n".join(pins) + "\n")


def _number(series: str) -> tuple[int, ...]:
    return tuple(map(int, series.split(".")))


if __name__ == "__main__":
    for series, version in AIRFLOWS.items():
        pin(series, version)
    pin_lowest()
