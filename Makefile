# Everything a fresh clone needs is made by the first target that needs it; a second run does nothing and needs no
# network. Wanted on the machine: Python 3.11, Java 17, Maven, Go (a missing one is named).

PYTHON ?= python3.11
DATA ?= movielens
DATA_PATH ?=
BIN := .venv/bin
ADAPTERS := serving pipelines model_handlers feature_repo
PROTO := proto/watchnext/v1/recommend.proto

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-cluster lint types up down lock proto schemas chart clean

help:  ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup:  ## Python environment from the lock, Kafka's jars, KServe's router
	@command -v $(PYTHON) >/dev/null || { echo "error: Python 3.11 is missing: install it with its venv module" \
	  "(Debian and Ubuntu: apt install python3.11 python3.11-venv)." >&2; exit 1; }
	@PYTHONPATH=src $(PYTHON) -m watchnext.local.prepare

demo: setup  ## The whole way, from events to recommendations (DATA=kuairand DATA_PATH=folder for other data)
	@$(BIN)/watchnext demo --data $(DATA) $(if $(DATA_PATH),--data-path '$(DATA_PATH)')

test: setup  ## All tests in two processes: unit, parity, local pipeline, services on real servers
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --no-loadscope-reorder $(PYTEST_ARGS)

test-cluster: setup  ## The chart on a real cluster: KUBECONFIG's, or the kit's in the shared data
	$(BIN)/pytest tests/cluster --timeout 3000 $(PYTEST_ARGS)

lint: setup  ## Format, lint, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: setup  ## mypy, strict
	$(BIN)/mypy

up: setup  ## Start the local servers
	@$(BIN)/watchnext up

down: setup  ## Stop the local servers
	@$(BIN)/watchnext down

lock: setup  ## Resolve the dependencies anew into requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --all-extras --generate-hashes \
	  --custom-compile-command "make lock" pyproject.toml --output-file requirements.lock

proto: setup  ## Generate the gRPC stubs
	$(BIN)/python -m grpc_tools.protoc --proto_path=proto --python_out=src --grpc_python_out=src --pyi_out=src $(PROTO)

schemas: setup  ## Write the JSON Schemas of the events into docs/schemas
	$(BIN)/python -m watchnext.contracts.schemas docs/schemas

chart: setup  ## Write the chart's schema, its README's tables, and what each values file renders (needs Helm)
	$(BIN)/python helm/generate.py

clean:  ## Stop the servers; remove the environment and all local state
	@if [ -x $(BIN)/watchnext ]; then $(BIN)/watchnext down; fi
	rm -rf .venv .watchnext .watchnext-*
