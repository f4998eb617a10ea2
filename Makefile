# Each verb sets up what it needs, given Python 3.11, git and make.
PYTHON ?= python3.11
CONFIG ?= .demo/distill.yaml
PORT ?= 3000
BIN := .venv/bin

.PHONY: demo targets test test-all browser servers dev lint audit format bench clean
.DEFAULT_GOAL := demo

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/installed ## run the whole lineage on a made-up support desk
	$(BIN)/distill-dagster demo

targets: .venv/installed ## an example that is built to reach the lesson's targets on 2 CPU cores (docs/speed.md)
	$(BIN)/python -c 'from distill_dagster.demo.project import write_targets; write_targets()'
	$(BIN)/distill-dagster run --config examples/targets.yaml

.demo/distill.yaml: | .venv/installed
	$(BIN)/python -c 'from distill_dagster.demo.project import write_demo; write_demo()'

dev: .venv/installed $(CONFIG) ## the Dagster UI on loopback, over the data of CONFIG
	$(BIN)/distill-dagster dev --config $(CONFIG) --port $(PORT)

PYTEST = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --dist loadgroup --no-loadscope-reorder

test: .venv/installed ## quick unit tests and in-process asset tests
	$(PYTEST) -n 2 -m "not slow and not processes and not daemon"

test-all: .venv/installed browser servers ## every test: slow ones, processes, daemons and a browser too, which often wait
	$(PYTEST) -n 3

browser: # what the tests of the UI drive; root may install it
	command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
		(apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null)

servers: # PostgreSQL, nginx and docker-compose, with which deploy/ is tested; root may install them; RUNLEVEL=1 starts none
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && test -x /usr/sbin/nginx && \
		command -v docker-compose >/dev/null || test "$$(id -u)" != 0 || \
		(apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends postgresql nginx-light docker-compose >/dev/null)

lint: .venv/installed ## style, import tiers, types, that the code location loads, secrets, vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python -m pytest -q --no-header tests/test_architecture.py
	$(BIN)/pyright
	$(BIN)/dg check defs
	$(BIN)/python -m testing.secret_scan
	$(BIN)/python -m testing.audit --soft

audit: .venv/installed ## known vulnerabilities of the pinned packages; fails if the service cannot be reached
	$(BIN)/python -m testing.audit

format: .venv/installed ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed ## measure; ONLY=name for one of benchmarks/
	$(BIN)/python -m benchmarks $(ONLY)

clean: ## forget the demo's data and results
	rm -rf .demo .targets
