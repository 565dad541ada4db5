# The commands for developers. `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PYTHONPATH := tests
# Each lock begins with its command. Renovate repeats the command, and knows no other options than these.
LOCK := uv pip compile --universal --generate-hashes --python-version=3.11

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

# Asks this machine for what a target needs, before anything takes time: python3 -m testbed.machine --help.
ASK := $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")' \
	&& $(PYTHON) -m testbed.machine

$(READY): requirements-dev.lock pyproject.toml
	@$(ASK) check
	@echo "Installing Python packages into $(VENV); about a minute the first time."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: demo
demo: ## A narrated tour on a real API server and a real LiveKit
	@$(ASK) demo
	@$(MAKE) -s -j2 $(READY) programs PURPOSE=demo
	$(BIN)/python -m demo

.PHONY: dev
dev: ## Keep the same parts running, with the operator; prints the variables to export
	@$(ASK) dev
	@$(MAKE) -s -j2 $(READY) programs PURPOSE=dev
	$(BIN)/python -m testbed

.PHONY: test
test: ## Everything: says what the machine lacks, then check, then all other tests, most on the real parts
	@$(ASK) test --install
	@$(MAKE) --no-print-directory check bed check-slow
	$(BIN)/python -Im pytest -q -n 2 tests/bounds tests/histories
	$(BIN)/python -Im pytest tests/contract tests/integration tests/security
	$(BIN)/python -Im pytest -m install tests/install

# Builds run beside the installation of the Python packages: it downloads while they compile.
.PHONY: programs
programs:
	@$(PYTHON) -m testbed.prepare $(PURPOSE) --builds-only

.PHONY: bed
bed: $(READY) ## Build the missing parts of the test bed (the first time about half an hour)
	$(BIN)/python -m testbed.prepare test

.PHONY: check
check: $(READY) ## Format, lint, types, generated files, quick unit tests: a minute
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/mypy
	$(BIN)/python -m byoc_operator.generate --check
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/zizmor --offline --no-progress -q .github
	$(BIN)/python -Im pytest -q -n 2 -m "not slow" tests/unit

.PHONY: check-slow
check-slow: $(READY) ## Unit tests that start programs, open sockets or search long: minutes
	$(BIN)/python -Im pytest -q -n 2 -m slow tests/unit

.PHONY: generate
generate: $(READY) ## Make the CRD, the reference and other generated files from the code
	$(BIN)/python -m byoc_operator.generate

.PHONY: docs
SITE_URL ?=
docs: $(READY) ## Build the documentation site: .site/html/index.html
	@SITE_URL="$(SITE_URL)" $(BIN)/python -m docs_site

.PHONY: lock
lock: $(READY) ## Resolve the dependencies and write the lock files
	PATH="$(BIN):$$PATH"; \
	$(LOCK) --output-file=requirements-plugin.lock pyproject.toml > /dev/null && \
	$(LOCK) --extra=operator --output-file=requirements.lock pyproject.toml > /dev/null && \
	$(LOCK) --extra=operator --group=dev --output-file=requirements-dev.lock pyproject.toml > /dev/null

# For fewer versions of Python: make plugin PLUGIN_FLAGS="--minor 12"
PLUGIN ?= dist/kubectl-byoc
PLUGIN_FLAGS ?=
.PHONY: plugin
plugin: $(READY) ## Pack `kubectl byoc` into one file for this machine: dist/kubectl-byoc
	$(BIN)/python -m plugin_file -o $(PLUGIN) $(PLUGIN_FLAGS)

.PHONY: bench
N ?= 1000
bench: $(READY) ## Measure against a bare client: make bench N=1000
	$(BIN)/python -m bench --numbers $(N)

# A release, step by step. The workflow of a release calls these targets and nothing else. Files go to dist/.
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE ?= byoc-operator:$(VERSION)
IMAGE_ENGINE ?= $(or $(shell command -v docker),$(shell command -v buildah))
IMAGE_FLAGS ?=
# The address of the repository, for labels and links of what is released. A fork gives its own; the default is this clone's.
REPOSITORY ?= $(shell git remote get-url origin 2>/dev/null | sed -nE 's,^(git@([^:]+):|https://([^/@]*@)?([^/]+)/)(.+)$$,https://\2\4/\5,; s,\.git$$,,; /^https:/p')
# The time of the last commit, so that two builds of one commit are the same.
image charts package sbom plugin plugins: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

.PHONY: image
image: ## Build the image with docker or buildah: make image IMAGE=registry.example.com/byoc-operator:0.1.0
	$(IMAGE_ENGINE) build -t $(IMAGE) -f deploy/Dockerfile $(IMAGE_FLAGS) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null) \
		--build-arg SOURCE_DATE_EPOCH=$$SOURCE_DATE_EPOCH \
		$(if $(findstring buildah,$(IMAGE_ENGINE)),--timestamp $$SOURCE_DATE_EPOCH) \
		$(if $(REPOSITORY),$(foreach name,source url documentation,--label org.opencontainers.image.$(name)=$(REPOSITORY))) .

.PHONY: charts
charts: $(READY) ## Package both charts
	$(BIN)/python -m release charts --repository "$(REPOSITORY)"

.PHONY: plugins
plugins: $(READY) ## Pack `kubectl byoc` for all platforms, with the manifest for krew
	$(BIN)/python -m plugin_file.archives --version $(VERSION) --into dist $(PLUGIN_FLAGS)
	$(BIN)/python -m release krew --repository "$(REPOSITORY)"

.PHONY: push-charts
REGISTRY ?=
HELM_FLAGS ?=
push-charts: $(READY) ## Push the packaged charts and print them by digest: make push-charts REGISTRY=ghcr.io/OWNER/charts
	@$(BIN)/python -m release push-charts --registry "$(REGISTRY)" -- $(HELM_FLAGS)

.PHONY: package
package: $(READY) ## Build the Python package
	$(BIN)/uv build -q --no-build-isolation --python $(BIN)/python --out-dir dist .

.PHONY: sbom
sbom: $(READY) ## Write the bill of materials of the Python packages (CycloneDX)
	$(BIN)/python -m release sbom

.PHONY: release-check
TAG ?=
release-check: $(READY) ## Say what is missing for a release: make release-check TAG=v0.1.0
	$(BIN)/python -m release check --tag "$(TAG)" --repository "$(REPOSITORY)"

.PHONY: release-notes
release-notes: $(READY) ## Print the changelog of this version
	@$(BIN)/python -m release notes
