# What a person or a machine does with this project. Needs python3 (with pip), make and git; everything else is installed.
# The commands leave nothing running behind.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The Pythons of this machine that the project runs on, oldest first. The newest runs the product, the oldest its
# tests, and each other one a short part of them. Where there is none, uv fetches one.
PYTHONS := $(shell for v in 3.11 3.12 3.13 3.14; do python$$v -c "" 2>/dev/null && echo $$v || true; done)
PYTHON ?= $(or $(lastword $(PYTHONS)),3.13)
TEST_PYTHON ?= $(or $(firstword $(PYTHONS)),$(PYTHON))
OTHER_PYTHONS := $(filter-out $(TEST_PYTHON),$(PYTHONS))
export UV_PYTHON_DOWNLOADS := $(if $(PYTHONS),never,automatic)

UV := $(shell command -v uv || echo .tools/bin/uv)
# $(call sync,PYTHON): the locked dependencies, into the environment of that Python.
environment = $(if $(filter $(PYTHON),$(1)),.venv,.venv-$(1))
sync = UV_PROJECT_ENVIRONMENT=$(call environment,$(1)) $(UV) sync --locked --extra demo --quiet --python $(1)
RUN := .venv/bin/
CHECK := $(call environment,$(TEST_PYTHON))/bin/

TESTS ?= tests
# What may differ between Pythons: imports, processes, JSON, dates, expressions, the queue.
SHORT := tests/ground tests/queue tests/xero/records/test_wire.py tests/workflows/definition/test_expressions.py
# What may differ between releases of PostgreSQL: plans, locks, roles, leases, the queue.
SHORT_DATABASE := tests/database tests/queue/test_leases.py tests/queue/test_wake.py tests/queue/test_broker.py tests/queue/test_checks.py \
  tests/connections/webhooks/test_fan_out.py tests/workflows/engine/test_store.py
# Lint and types import the settings; these values let them do so without starting anything.
STATIC := DATABASE_URL=postgres://nobody@localhost:1/nothing DEBUG=true DOTENV= VAR_DIR=var/test

.PHONY: help install install-tests demo dev test lint format programs pytest other-pythons other-postgres bench chaos drill key clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 18

install: $(UV) ## the locked dependencies, into .venv
	@$(call sync,$(PYTHON))

install-tests: $(UV)
	@$(call sync,$(TEST_PYTHON))

.tools/bin/uv:
	@echo "Installing uv beside the project"
	@python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target .tools uv

demo: install ## everything on this machine, the main job once, then serve until Ctrl-C (ONCE=1: stop after the job)
	@exec $(RUN)python -m taskjuice.demo $(if $(ONCE),--once)

dev: install ## web with autoreload, worker and sandbox, without the main job
	@exec $(RUN)python -m taskjuice.demo --dev

test: install-tests programs lint pytest other-pythons other-postgres ## lint, types, import arrows, templates, all tests

lint: install-tests ## ruff, mypy, import arrows, templates
	$(CHECK)ruff check .
	$(CHECK)ruff format --check --quiet .
	$(STATIC) $(CHECK)mypy
	$(STATIC) $(CHECK)lint-imports --no-logo
	$(CHECK)djade --target-version 5.2 --check $$(git ls-files 'templates/*.html')

format: install-tests ## what ruff and djade can mend by themselves
	$(CHECK)ruff check --fix-only --quiet .
	$(CHECK)ruff format --quiet .
	$(CHECK)djade --target-version 5.2 $$(git ls-files 'templates/*.html')

# Programs that some tests need: Chromium (tests/browser), PgBouncer and nginx (tests/survival, tests/drill), and Debian's
# PostgreSQL (other-postgres), by apt where this user may.
# Where not, those tests skip with a word, or fail in a run that must not skip them (TASKJUICE_REQUIRE_BROWSER=1,
# TASKJUICE_REQUIRE_PGBOUNCER=1, TASKJUICE_REQUIRE_NGINX=1).
programs:
	@wanted=; for one in chromium pgbouncer nginx; do PATH="$$PATH:/usr/sbin" command -v $$one >/dev/null || wanted="$$wanted $$one"; done; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || wanted="$$wanted postgresql"; \
	if [ -z "$$wanted" ] || ! command -v apt-get >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then as=; elif sudo -n true 2>/dev/null; then as="sudo -n"; else exit 0; fi; \
	echo "Installing$$wanted for the tests"; \
	$$as apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$as apt-get install -y -qq --no-install-recommends $$wanted \
	  >/dev/null || echo "$$wanted could not be installed; the tests that need it will say so"

# Three at a time on two cores: those that start processes wait for them most of their time (tests/conftest.py).
pytest: install-tests
	$(CHECK)pytest -n 3 --dist loadgroup -q $(TESTS)

other-pythons: $(UV)
	@for python in $(OTHER_PYTHONS); do \
	  echo "A short part of the tests on Python $$python"; \
	  environment=.venv-$$python; if [ $$python = $(PYTHON) ]; then environment=.venv; fi; \
	  UV_PROJECT_ENVIRONMENT=$$environment $(UV) sync --locked --extra demo --quiet --python $$python; \
	  $$environment/bin/pytest -n 2 --dist loadgroup -q $(SHORT); \
	done

# On Debian's own server, where one is installed (apt-get install postgresql), with a cluster that goes away again.
other-postgres: install-tests
	@initdb=$$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -1 || true); \
	if [ -z "$$initdb" ]; then echo "No tests on Debian's PostgreSQL: it is not installed (apt-get install postgresql)"; exit 0; fi; \
	programs=$$(dirname $$initdb); \
	echo "A short part of the tests on $$($$programs/postgres --version)"; \
	$(CHECK)python -m tests.database.cluster $$programs $(CHECK)pytest -n 2 --dist loadgroup -q $(SHORT_DATABASE)

bench: install ## the benchmarks: a table, and JSON in var/bench.json (PARTS="ledger agency": only these)
	@$(RUN)python -m bench $(PARTS)

chaos: install ## faults on the whole running product: a table, and exit code 1 if one was not survived (RUNS=50 SEED=… FAULTS="F03 F24")
	@$(RUN)python -m tests.chaos --runs $(or $(RUNS),50) $(if $(SEED),--seed $(SEED)) $(FAULTS)

drill: install ## docs/deploy.md done to a whole installation under load: a table, and exit code 1 if anything was not well (CHAPTERS="loss restore")
	@$(RUN)python -m tests.drill $(if $(POSTGRES),--postgres $(POSTGRES)) $(CHAPTERS)

key: ## fresh values for SECRET_KEY and TOKEN_KEYS
	@python3 -c 'import secrets, base64; print("SECRET_KEY=" + secrets.token_urlsafe(48)); \
	print("TOKEN_KEYS=" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())'

clean: ## data of demo, tests and benchmarks (not of DATABASE_URL)
	rm -rf var
