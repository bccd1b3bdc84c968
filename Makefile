# `make quickstart` and `make test` need nothing before them: each sets up .venv first, in a second when nothing changed.
SHELL := /bin/bash
BIN := .venv/bin
PYTHON ?= python3.11

# Nothing here talks to a hub or reports usage; tokenizers fork safely; threads that wait leave the core to those that work.
export HF_HUB_OFFLINE := 1
export RAY_USAGE_STATS_ENABLED := 0
export VLLM_NO_USAGE_STATS := 1
export DO_NOT_TRACK := 1
export TOKENIZERS_PARALLELISM := false

# Test files run side by side, each process of them on one thread.
TEST_WORKERS ?= 2
test test-all: export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help setup quickstart test test-all planted lint bench clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 14

setup: ## .venv with the pinned packages and orrery itself (about 4 GB)
	@PYTHON="$(PYTHON)" requirements/setup.sh

quickstart: setup ## the whole loop on this machine: worlds, tasks, data, cold start, RL, held-out proof
	@$(BIN)/orrery quickstart

lint: setup ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/mypy

test: lint ## the everyday tier: lint, unit and property tests, the loop at a tiny size with real engines
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile -m "not slow and not planted"

test-all: lint ## everything: the everyday tier and the long integration tests
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile -m "not planted"

planted: setup ## recall and precision of every detector on errors planted in 10,000 rows: the tables of the docs (a quarter of an hour)
	@$(BIN)/python -m pytest -m planted -s

bench: setup ## rollout, trainer, weight sync and tool calls against their bare counterparts
	@$(BIN)/orrery bench

clean: ## build outputs and caches; .venv and outputs/ stay
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -path ./.venv -prune -o -path ./outputs -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf
