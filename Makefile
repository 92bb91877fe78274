# What a person or a machine does with this project. Needs Python 3.11 and make; everything else is installed.
# The commands leave nothing running behind.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
UV := $(shell command -v uv || echo .tools/bin/uv)
RUN := .venv/bin/
# The machine's own Python: uv may not download one.
export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON := $(PYTHON)

TESTS ?= tests
# Lint and types import the settings; these values let them do so without starting anything.
STATIC := DATABASE_URL=postgres://nobody@localhost:1/nothing DEBUG=true DOTENV= VAR_DIR=var/test

.PHONY: help install demo dev test lint format types arrows templates chromium pytest bench key clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 18

install: $(UV) ## the locked dependencies, into .venv
	@$(UV) sync --locked --extra demo --quiet

.tools/bin/uv:
	@echo "Installing uv beside the project"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .tools uv

demo: install ## everything on this machine, the main job once, then serve until Ctrl-C (ONCE=1: stop after the job)
	@exec $(RUN)python -m taskjuice.demo $(if $(ONCE),--once)

dev: install ## web with autoreload, worker and sandbox, without the main job
	@exec $(RUN)python -m taskjuice.demo --dev

test: install chromium lint pytest ## lint, types, import arrows, templates, all tests

lint: install ## ruff, mypy, import arrows, templates
	$(RUN)ruff check .
	$(RUN)ruff format --check --quiet .
	$(STATIC) $(RUN)mypy
	$(STATIC) $(RUN)lint-imports --no-logo
	$(RUN)djade --target-version 5.2 --check $$(git ls-files 'templates/*.html')

format: install ## what ruff and djade can mend by themselves
	$(RUN)ruff check --fix-only --quiet .
	$(RUN)ruff format --quiet .
	$(RUN)djade --target-version 5.2 $$(git ls-files 'templates/*.html')

# Chromium for the browser tests: by apt where this user may. Where not, those tests skip with a word,
# or fail in a run that must not skip them (TASKJUICE_REQUIRE_BROWSER=1).
chromium:
	@if command -v chromium >/dev/null || ! command -v apt-get >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then as=; elif sudo -n true 2>/dev/null; then as="sudo -n"; else exit 0; fi; \
	echo "Installing Chromium for the browser tests"; \
	$$as apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$as apt-get install -y -qq --no-install-recommends chromium \
	  >/dev/null || echo "Chromium could not be installed; the browser tests will say so"

pytest:
	$(RUN)pytest -n 2 --dist loadgroup -q $(TESTS)

bench: install ## the benchmarks: a table, and JSON in var/bench.json (PARTS="ledger agency": only these)
	@$(RUN)python -m bench $(PARTS)

key: ## fresh values for SECRET_KEY and TOKEN_KEYS
	@$(PYTHON) -c 'import secrets, base64; print("SECRET_KEY=" + secrets.token_urlsafe(48)); \
	print("TOKEN_KEYS=" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())'

clean: ## data of demo, tests and benchmarks (not of DATABASE_URL)
	rm -rf var
