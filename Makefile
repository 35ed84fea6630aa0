# Everything a fresh Debian or Ubuntu machine needs, in one place. `make` alone says what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# One target directory for all clones on this machine: RocksDB's C++ and DataFusion compile once.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/vantage/target
CARGO := cargo
PROFILE := --release --locked
BIN := $(CARGO_TARGET_DIR)/release/vantage
ARGS ?=
PREFIX ?= $(HOME)/.local

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

setup: ## Install the system packages the build and the tests need
	@bash deploy/setup.sh

setup-build:
	@bash deploy/setup.sh build

setup-real:
	@bash deploy/setup.sh real

build: setup-build ## Build the binary
	$(CARGO) build $(PROFILE)

install: build ## Install the binary (PREFIX=/usr/local)
	install -D $(BIN) $(DESTDIR)$(PREFIX)/bin/vantage

demo: build ## A shop of five services, served from views (ARGS="--products 10000 --seconds 20")
	@$(BIN) demo $(ARGS)

demo-kafka: build setup-real ## The shop over PostgreSQL, MariaDB, Kafka and Debezium (ARGS="--seconds 20")
	@deploy/real/demo.sh $(BIN) $(ARGS)

test: setup ## All tests (SEED=… CASES=… replay or widen the random ones)
	$(CARGO) test $(PROFILE)

test-real: setup-real ## Real Kafka, Debezium, PostgreSQL and MariaDB, killed at random (SEED=… CASES=…)
	$(CARGO) build $(PROFILE) --example read_your_write
	JARS=$$(deploy/real/jars.sh) && NODE_EXAMPLES=$$(deploy/real/node.sh) && export JARS NODE_EXAMPLES && \
	    $(CARGO) test $(PROFILE) --test it -- real:: --ignored --nocapture --test-threads 1

soak: ## The same with 300 kills (CASES=60)
	@$(MAKE) test-real CASES=$(or $(CASES),60)

bench: setup-build ## Live joins and API composition against views (ARGS="--products 10000,200000")
	$(CARGO) bench --locked --profile release --bench live_joins -- $(ARGS)

bench-engine: setup-build ## Load rate and changes per CPU-second (ARGS="--products 200000")
	$(CARGO) bench --locked --profile release --bench engine -- $(ARGS)

bench-capture: setup-build ## What capture costs the owner of a table, and that it refuses no write
	$(CARGO) bench --locked --profile release --bench capture -- $(ARGS)

lint: setup ## Format, clippy, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy $(PROFILE) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(PROFILE) --no-deps --document-private-items

.PHONY: help setup setup-build setup-real build install demo demo-kafka test test-real soak bench bench-engine bench-capture lint
