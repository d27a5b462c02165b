# `make run` builds and serves; `make test` runs every test. Both install what they need.

ENGINE ?= mistralrs
MODEL  ?= smollm2-135m-instruct
# mistral.rs runs one sequence at a time on a CPU, so one process per core (at most four) is faster.
REPLICAS ?= $(if $(filter mistralrs,$(ENGINE)),$(shell n=$$(nproc 2>/dev/null || echo 1); echo $$((n < 4 ? n : 4))),1)
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help run build check test test-long test-quick compose-test bench cuda gpu-bundle package audit fmt docs clean
.DEFAULT_GOAL := help

help: ## shows this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## builds, fetches the demo model, serves it on 127.0.0.1:8080; ENGINE=llamacpp, MODEL=…
	@exec $(TARGET)/debug/hostler serve --engine $(ENGINE) --model $(MODEL) --replicas $(REPLICAS)

build: ## builds everything
	@scripts/setup.sh build
	@cargo build --workspace --locked --bins

check: ## checks formatting, spelling, lints, licences, layout and wording
	@scripts/setup.sh check
	@scripts/check.sh

test: ## runs every test, and installs what they need
	@scripts/setup.sh test
	@scripts/test.sh

test-long: ## runs the tests that need up to an hour: more random faults, more prompts, other routers
	@scripts/setup.sh long
	@scripts/test-long.sh

test-quick: ## runs the tests that need neither an engine nor a model
	@scripts/setup.sh check
	@scripts/test.sh quick

compose-test: ## starts compose.yaml, tests it with a failing worker, and stops it; needs root
	@scripts/compose-test.sh

bench: build ## compares both engines, llama.cpp's own server, and tracing; takes minutes on an idle machine
	@scripts/bench.sh

cuda: ## builds for NVIDIA GPUs, with or without one here; COMPUTE_CAP=80, 89 or 90; takes an hour
	@scripts/setup.sh build
	@scripts/cuda.sh

gpu-bundle: cuda ## packs an archive that proves and measures the build on a machine with a GPU
	@scripts/gpu-bundle.sh

package: build ## packs a Debian package and a tarball, with the systemd units
	@scripts/package.sh

audit: ## checks dependencies for known vulnerabilities; needs the internet
	@scripts/setup.sh check
	@PATH="$(CURDIR)/.cache/tools/bin:$$PATH" cargo deny check advisories

fmt: ## formats the code
	@cargo fmt --all

docs: ## writes the generated parts of docs/ and config/
	@cargo xtask docs

clean: ## removes build output, but not the model store
	@cargo clean
