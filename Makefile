# What to type: `make run` to watch it, `make test` to check it. `make help` lists the rest.
# Both commands install what a Debian 12 machine lacks (scripts/packages.txt) and do nothing twice.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
# Two installers at once would wait for, or break, each other's locks.
.NOTPARALLEL:

export PATH := $(CURDIR)/.tools/bin:$(HOME)/.cargo/bin:$(PATH)
export NPM_CONFIG_UPDATE_NOTIFIER := false

# `make run ARGS="--help"` hands arguments on to `onair demo`.
ARGS ?=
# Seconds given to each fuzz target by `make fuzz`, and the outputs that `make bench` measures.
FUZZ_SECONDS ?= 60
BENCH ?= rtmp flv hls

WEB_SOURCES = $(shell find web -type f -not -path '*/node_modules/*' -not -path 'web/dist/*' -not -path 'web/tests/*' 2>/dev/null)

.PHONY: help run build web test fmt bench fuzz clean install-build install-test rust

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## install what is missing, build, start the demo broadcast and print its links
	exec target/release/onair demo $(ARGS)

build: install-build rust web ## leave the server, with pages and demo clip inside, and its media worker in target/release
	cargo build --release --locked $$(scripts/worker-feature)

test: install-build install-test rust web ## every check and every test
	scripts/test

fmt: rust ## format the Rust sources
	cargo fmt
	cargo fmt --manifest-path tests/interop/Cargo.toml
	cargo fmt --manifest-path fuzz/Cargo.toml

fuzz: install-build rust ## run every fuzz target for FUZZ_SECONDS (60) and state its executions
	scripts/fuzz $(FUZZ_SECONDS)

bench: build ## measure the outputs named in BENCH ("rtmp flv hls")
	set -e; for output in $(BENCH); do target/release/onair bench $$output; done

clean: ## remove everything built or installed into this folder
	rm -rf target tests/interop/target fuzz/target web/dist web/node_modules .tools

install-build:
	@scripts/install-packages build run
	@scripts/install-tools node

install-test:
	@scripts/install-packages test
	@scripts/install-tools test

rust:
	@command -v cargo >/dev/null || { echo "There is no Rust toolchain on PATH: install one from https://rustup.rs" >&2; exit 1; }

web: web/dist/index.html

web/dist/index.html: web/node_modules/.installed $(WEB_SOURCES)
	cd web && npm run build

web/node_modules/.installed: web/package-lock.json | install-build
	cd web && npm ci --no-audit --no-fund
	@touch $@
