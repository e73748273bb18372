# The two commands of the README: `make demo` and `make test`. Everything is installed into .venv* by these rules.

AIRFLOW ?= 3.3
PYTHON ?= python3
UV_VERSION := 0.13.9

DEFAULT_VENV := .venv
VENV := $(if $(filter 3.3,$(AIRFLOW)),$(DEFAULT_VENV),.venvs/$(AIRFLOW))
CONSTRAINTS := constraints/airflow-$(AIRFLOW).txt
BIN := $(VENV)/bin
VERSIONS := 2.11 3.0 3.1 3.2
COMMA := ,
FORGETFUL := tests/integration/test_paid_once.py::test_an_airflow_that_cannot_remember_says_so

.DEFAULT_GOAL := help
.PHONY: help install demo ui test test-interrupted test-long test-crashes test-pipeline bench check check-versions version-% test-lowest build format constraints clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Install the provider and all that the tests need, pinned, into .venv

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint $(CONSTRAINTS) \
		--editable '.[emulator$(if $(filter 3.3,$(AIRFLOW)),$(COMMA)openlineage)]' --group test \
		$(if $(filter 3.3,$(AIRFLOW)),--group check --group postgres --group storage)
	@touch $@

demo: install ## Run a real Airflow that turns a folder of images into clips, on the emulator (LIVE=1: one, on Segmind)
	@$(BIN)/python -m demo

ui: install ## The same, and keep Airflow up for a look in the browser
	@$(BIN)/python -m demo --keep

test: install ## Run all tests that need no server of yours
	$(BIN)/python -m pytest -q --numprocesses 4 --dist loadfile --no-loadscope-reorder \
		-m 'not interrupted and not long' tests/e2e/test_demo.py tests/integration tests/unit

test-interrupted: install ## Interrupt a real Airflow in the middle of the demo: nothing is left of it
	$(BIN)/python -m pytest -q --numprocesses 2 -m interrupted tests/e2e/test_demo.py

test-long: install ## Run the tests that take long: mapped tasks, the DAG of the README, lineage, some rate limits
	$(BIN)/python -m pytest -q -m long tests/integration

test-crashes: install ## Kill a real Airflow at every point of a task, and count the charges
	$(BIN)/python -m pytest -q tests/e2e/test_crash_matrix.py

test-pipeline: install ## Turn a folder of images in S3 into clips on a real Airflow, and kill its workers at random
	$(BIN)/python -m pytest -q tests/e2e/test_pipeline.py

bench: install ## Measure what waiting and storing cost, next to what one would write instead (LONG=1: the sizes that take fifty minutes, too)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint $(CONSTRAINTS) --group bench
	$(BIN)/python -m benchmarks $(if $(LONG),--long)

check: install ## Lint, check types, build, and try the wheel in a clean environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAKE) build

build: install
	rm -rf dist .venvs/wheel
	$(BIN)/python -m build --no-isolation --outdir dist . >/dev/null
	$(PYTHON) -m venv .venvs/wheel
	$(BIN)/uv pip install --quiet --python .venvs/wheel/bin/python --constraint $(CONSTRAINTS) dist/*.whl
	@AIRFLOW_HOME=$(CURDIR)/.venvs/wheel/airflow .venvs/wheel/bin/airflow providers list 2>/dev/null \
		| grep airflow-provider-segmind

check-versions: $(addprefix version-,$(VERSIONS)) ## Run the tests on the older Airflows

version-%:
	$(MAKE) install AIRFLOW=$*
	.venvs/$*/bin/python -m pytest -q --numprocesses 2 --dist loadfile \
		tests/unit tests/integration/test_examples.py tests/integration/test_untrusted.py \
		tests/integration/test_assets.py tests/integration/test_metrics_sent.py $(FORGETFUL)

LOWEST := .venvs/lowest

test-lowest: $(LOWEST)/.installed ## Run the unit tests with the lowest version of everything that pyproject.toml allows
	$(LOWEST)/bin/python -m pytest -q --numprocesses 2 tests/unit

$(LOWEST)/.installed: pyproject.toml constraints/lowest.txt
	$(PYTHON) -m venv --clear $(LOWEST)  # what is installed would be kept, though it is not the lowest
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct \
		--constraint constraints/lowest.txt --editable '.[emulator,openlineage]' --group test
	@touch $@

format: install ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: install ## Pin anew what each Airflow is tested with
	$(BIN)/python constraints/pin.py

clean: ## Remove all that these rules made
	rm -rf .venv .venvs .demo dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
