# Two commands do everything: `make run` and `make test`. Each installs what it needs.

ENGINE ?= mistralrs
MODEL  ?= smollm2-135m-instruct
# mistral.rs runs one sequence at a time on a CPU: one for each of up to four cores is faster.
REPLICAS ?= $(if $(filter mistralrs,$(ENGINE)),$(shell n=$$(nproc 2>/dev/null || echo 1); echo $$((n < 4 ? n : 4))),1)
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help run build check test test-quick compose-test bench audit fmt docs clean
.DEFAULT_GOAL := help

help: ## shows this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## builds, fetches the demo model, serves it on 127.0.0.1:8080; ENGINE=llamacpp, MODEL=…
	@exec $(TARGET)/debug/hostler serve --engine $(ENGINE) --model $(MODEL) --replicas $(REPLICAS)

build: ## builds everything
	@scripts/setup.sh build
	@cargo build --workspace --locked --bins

check: ## formatting, spelling, lints, licences, layout
	@scripts/setup.sh check
	@scripts/check.sh

test: ## every test, with all that they need
	@scripts/setup.sh test
	@scripts/test.sh

test-quick: ## the tests that need neither engine nor model
	@scripts/setup.sh check
	@scripts/test.sh quick

compose-test: ## brings compose.yaml up, uses and breaks it, takes it down; needs root
	@scripts/compose-test.sh

bench: build ## speed of both engines, beside llama.cpp's own server, and with traces; minutes, on a quiet machine
	@scripts/bench.sh

audit: ## known vulnerabilities of dependencies; needs the internet
	@scripts/setup.sh check
	@PATH="$(CURDIR)/.cache/tools/bin:$$PATH" cargo deny check advisories

fmt: ## formats the code
	@cargo fmt --all

docs: ## writes what is generated of the handbook
	@cargo xtask docs

clean: ## removes what was built; the model store stays
	@cargo clean
