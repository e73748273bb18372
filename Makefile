# The two commands of the README: `make demo` and `make test`. Everything is installed into .venv* by these rules.

AIRFLOW ?= 3.3
PYTHON ?= python3
UV_VERSION := 0.13.9
AZURITE_VERSION := 3.35.0

DEFAULT_VENV := .venv
VENV := $(if $(filter 3.3,$(AIRFLOW)),$(DEFAULT_VENV),.venvs/$(AIRFLOW))
CONSTRAINTS := constraints/airflow-$(AIRFLOW).txt
BIN := $(VENV)/bin
VERSIONS := 2.11 3.0 3.1 3.2
PYTHONS := 3.12 3.13
COMMA := ,
# `airflow dags test` takes minutes for these on 3.0 to 3.2, and seconds on the oldest and the newest.
ON_2.11 := $(addprefix tests/integration/,test_examples.py test_untrusted.py test_assets.py test_metrics_sent.py test_sensor_modes.py)
RECIPE := tests/integration/test_recipe.py::test_the_recipe_works_as_pasted
RECORDS := $(addprefix tests/integration/test_records.py::,test_a_retry_continues_with_what_was_paid_for \
	test_a_task_that_could_not_store_its_output_is_cleared_and_pays_nothing)
# What Segmind and files say is read alike on each Airflow: these run on the oldest, on 3.3, and on the newest alone.
ALIKE := answers budget calls catalogue content_encoding content_type download early_results errors failures follow forms fuzz \
	history_search hostile_answers image_size lifecycle local_files locations media_url moments rate_ledger rate_limit \
	redaction redis_ledger saturation schedule shared_answers shared_reads simulation text usual_duration watermark
ABOUT_AIRFLOW := tests/unit $(ALIKE:%=--ignore=tests/unit/test_%.py)
FORGETFUL := tests/integration/test_paid_once.py::test_an_airflow_that_cannot_remember_says_so

# Airflow is compiled once, not by each of the hundreds of processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo contract ui test test-interrupted test-long test-cluster test-crashes test-small-cluster test-storages simulation mutants test-browser screenshots bench bench-fleet docs check check-versions check-dated check-examples check-crashes check-pythons test-lowest build format constraints clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Install the provider and all that the tests need, pinned, into .venv

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint $(CONSTRAINTS) \
		--editable '.[emulator,redis$(if $(filter 3.3,$(AIRFLOW)),$(COMMA)openlineage)]' --group test \
		$(if $(filter 3.3,$(AIRFLOW)),--group check --group postgres --group storage --group celery)
	@touch $@

demo: install ## Run a real Airflow that turns a folder of images into clips, on the emulator (LIVE=1: one, on Segmind)
	@$(BIN)/python -m demo

contract: install ## Find out which of the possible Segminds the emulator is (LIVE=1: which one Segmind is)
	@$(BIN)/python -m airflow_provider_segmind.contract $(if $(WORLD),--world '$(WORLD)')

ui: install ## The same, and a request that fails, one that no task collects, and clips to approve: keep Airflow up for a look in the browser
	@$(BIN)/python -m demo --keep

test: install ## Run all tests that need no server of yours
	$(BIN)/python -m pytest -q --numprocesses 6 --dist loadfile --no-loadscope-reorder \
		-m 'not interrupted and not long' tests/e2e/test_demo.py tests/integration tests/unit

# Not part of CI on one machine: it needs npm.
test-storages: .venvs/storages/.installed ## Store outputs in servers of Azure and Google Cloud Storage on this machine (needs Node.js 20 or later with npm)
	AZURITE=.venvs/storages/node_modules/.bin/azurite-blob .venvs/storages/bin/python -m pytest -q tests/storages

.venvs/storages/.installed: pyproject.toml $(CONSTRAINTS) constraints/storages.txt
	$(PYTHON) -m venv --clear .venvs/storages
	.venvs/storages/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	.venvs/storages/bin/uv pip install --quiet --python .venvs/storages/bin/python --constraint $(CONSTRAINTS) \
		--constraint constraints/storages.txt --editable '.[emulator,openlineage,redis]' --group test --group storages
	npm install --silent --no-fund --no-audit --prefix .venvs/storages azurite@$(AZURITE_VERSION)
	@touch $@

test-interrupted: install ## Interrupt a real Airflow in the middle of the demo: nothing is left of it
	$(BIN)/python -m pytest -q --numprocesses 2 -m interrupted tests/e2e/test_demo.py

test-long: install ## Run the tests that take long: mapped tasks, the DAG of the README, lineage, some rate limits, the page of errors
	$(BIN)/python -m pytest -q --numprocesses 3 -m long tests/integration tests/unit

test-cluster: install ## Make 100 clips (CLIPS=…, SEED=…) on a cluster that loses processes at random, upgrade one with tasks deferred, and run the commands of the runbook
	$(BIN)/python -m pytest -q -s -m long tests/e2e/test_cluster.py tests/e2e/test_one_queue.py tests/e2e/test_upgrade.py tests/e2e/test_runbook.py \
		tests/e2e/test_pipeline.py

test-small-cluster: install ## The same with few clips, and nothing else
	CLIPS=$(or $(CLIPS),10) $(BIN)/python -m pytest -q -s -m long tests/e2e/test_pipeline.py -k cluster

test-crashes: install ## Kill a real Airflow at every point of a task, and count the charges
	$(BIN)/python -m pytest -q tests/e2e/test_crash_matrix.py

# `make crashes-2.11`, or `crashes-newest`: the same on another Airflow. CRASH_ONLY=persisted,cleared plays these events only.
crashes-%: .venvs/dated-%/.installed
	.venvs/dated-$*/bin/python -m pytest -q tests/e2e/test_crash_matrix.py

check-crashes: export CRASH_ONLY = persisted,storage_broken,cleared
check-crashes: $(addprefix crashes-,$(VERSIONS) newest) ## Kill the other Airflows, too, at a few points

simulation: install ## Play a million steps of tasks against a simulated Segmind (STEPS=…, SEED=…)
	$(BIN)/python -m tests.simulation --steps $(or $(STEPS),1000000) --seed $(or $(SEED),10000)

# Not part of CI: it takes long. The folder `mutants` is mutmut's.
mutants: install ## Change what decides about money in 250 small ways, and see whether fast tests notice (COUNT=…, SEED=…)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint $(CONSTRAINTS) --group mutants
	$(BIN)/python -m tests.mutation --count $(or $(COUNT),250) --seed $(or $(SEED),1)

test-browser: install ## Look at a real Airflow 3.3, and at the newest one, with a real Chromium
	$(call look_at,$(VENV),$(CONSTRAINTS))
	$(MAKE) browser-newest

# `make browser-3.1`: the same on another Airflow.
browser-%: .venvs/dated-%/.installed
	$(call look_at,.venvs/dated-$*,constraints/dated-$*.txt)

screenshots: export SCREENSHOTS = docs/images
screenshots: install ## Take the pictures of the documentation again
	$(call look_at,$(VENV),$(CONSTRAINTS),/test_pictures.py)

# With the virtual environment $(1), whose pins are $(2), at all tests or at $(3).
define look_at
	$(1)/bin/uv pip install --quiet --python $(1)/bin/python --constraint $(2) --group browser
	$(1)/bin/python -m pytest -q tests/browser$(3)
endef

bench: install ## Measure what waiting and storing cost, next to what one would write instead (LONG=1: the sizes that take fifty minutes, too)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint $(CONSTRAINTS) --group bench
	$(BIN)/python -m benchmarks $(if $(LONG),--long)

bench-fleet: install ## Measure how fast a key's clips get done on Celery with two of everything, next to the official client (CLIPS=24,100,300 ROUNDS=…)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint $(CONSTRAINTS) --group bench
	$(BIN)/python -m benchmarks.fleet $(if $(CLIPS),--clips $(CLIPS)) $(if $(ROUNDS),--rounds $(ROUNDS))

docs: install ## Build the documentation site into .docs/; a broken link or an undocumented public name fails
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint $(CONSTRAINTS) --group docs
	AIRFLOW_HOME=$(CURDIR)/.docs/airflow $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs .docs/html
	@echo "The site begins at .docs/html/index.html"

check: install ## Lint, check types, build, and try the wheel in a clean environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docs/compose.yaml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms \
		$(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
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
	.venvs/$*/bin/python -m pytest -q --numprocesses 3 --dist loadfile $(ABOUT_AIRFLOW) $(FORGETFUL) $(RECORDS) $(RECIPE) $(ON_$*)

LOWEST := .venvs/lowest

test-lowest: $(LOWEST)/.installed ## Run the unit tests with the lowest version of everything that pyproject.toml allows
	$(LOWEST)/bin/python -m pytest -q --numprocesses 3 tests/unit tests/integration/test_redis_tls.py

$(LOWEST)/.installed: pyproject.toml constraints/lowest.txt
	$(PYTHON) -m venv --clear $(LOWEST)  # what is installed would be kept, though it is not the lowest
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct \
		--constraint constraints/lowest.txt --editable '.[emulator,openlineage,redis]' --group test
	@touch $@

check-dated: $(addprefix dated-,$(VERSIONS) 3.3) dated-newest ## Run the unit tests and one clip on a real Airflow with the packages of each release's day, and with the newest betas

dated-%: .venvs/dated-%/.installed
	.venvs/dated-$*/bin/python -m pytest -q --numprocesses 3 $(if $(filter 2.11 newest,$*),tests/unit,$(ABOUT_AIRFLOW)) $(if $(filter newest,$*),$(RECORDS))
	timeout --kill-after 60 900 .venvs/dated-$*/bin/python -m pytest -q \
		tests/e2e/test_one_clip.py $(if $(filter 2.11 3.0 newest,$*),tests/e2e/test_links.py) \
		$(if $(filter 3.1 3.3,$*),tests/e2e/test_approval.py) \
		$(if $(filter newest,$*),tests/e2e/test_asset_watcher.py)
	$(if $(filter 3.0,$*),timeout --kill-after 60 300 .venvs/dated-$*/bin/python -m pytest -q tests/e2e/test_asset_watcher.py -k bucket)

.venvs/dated-%/.installed: pyproject.toml constraints/dated-%.txt
	$(call install_pinned,.venvs/dated-$*,constraints/dated-$*.txt,$(if $(filter 3.0,$*),--group storage))

check-examples: $(addprefix examples-,$(VERSIONS) 3.3 newest) ## Run all example DAGs on a real Airflow of each version

# The checks on GitHub run it for each Airflow. `.ci/run` does not: it takes minutes on each.
examples-%: .venvs/dated-%/.installed
	.venvs/dated-$*/bin/python -m pytest -q -m long tests/e2e/test_all_examples.py

check-pythons: $(addprefix python-,$(PYTHONS)) ## Run the unit tests on newer Pythons, where there are any

python-%:
	@python=$$(for each in python$* "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$*.*/bin/python; do \
		"$$each" -c '' 2>/dev/null && echo "$$each" && break; done); \
	if [ -n "$$python" ]; then $(MAKE) --no-print-directory test-python-$* PYTHON="$$python"; \
	else echo "This machine has no Python $*: the unit tests are not run on it"; fi

test-python-%: .venvs/python-%/.installed
	.venvs/python-$*/bin/python -m pytest -q --numprocesses 3 tests/unit

.venvs/python-%/.installed: pyproject.toml constraints/airflow-3.3.txt
	$(call install_pinned,.venvs/python-$*,constraints/airflow-3.3.txt)

.PRECIOUS: .venvs/dated-%/.installed .venvs/python-%/.installed

# Into the virtual environment $(1), with the pins $(2), and with more groups $(3).
define install_pinned
	$(PYTHON) -m venv --clear $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(1)/bin/uv pip install --quiet --python $(1)/bin/python --constraint $(2) \
		--editable '.[emulator,openlineage,redis]' --group test --group postgres $(3)
	@touch $(1)/.installed
endef

format: install ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: install ## Pin again what each Airflow is tested with
	$(BIN)/python constraints/pin.py

clean: ## Remove all that these rules made
	rm -rf .venv .venvs .demo .docs dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis
