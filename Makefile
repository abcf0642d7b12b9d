# What is done with this repository. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where cargo builds: the same directory for all targets, so that nothing is compiled twice.
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
SCHEMA := schema/tollgate.schema.json
# User instructions that a request may cost: the goal, and the guard against regressions.
INSTRUCTIONS ?= 18000
# How long each fuzz target runs.
SECONDS ?= 300
FUZZ_TARGETS := request_head response_head chunked_body path authority

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | \
		while IFS='|' read -r name what; do printf '  make %-20s %s\n' "$$name" "$$what"; done

.PHONY: demo
demo: ## three sample services, the gateway in front of them, and requests to try (DEMO="--once --port 0")
	cargo run --quiet -p tollgate -- demo $(DEMO)

.PHONY: test
test: nextest ## all tests; installs cargo-nextest where it is missing
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --workspace; \
		cargo test --workspace --doc --quiet; \
	else \
		cargo test --workspace; \
	fi

.PHONY: nextest
nextest:
	@cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked || \
		echo "cargo-nextest can't be installed: the tests run by cargo test" >&2

.PHONY: check
check: check-format check-lints check-schema check-deny ## format, lints, the schema's freshness, licences

.PHONY: check-format
check-format:
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check

.PHONY: check-lints
check-lints:
	cargo clippy --workspace --all-targets --quiet -- -D warnings

.PHONY: check-schema
check-schema:
	@cargo build --quiet -p tollgate
	@diff -u $(SCHEMA) <($(TARGET_DIR)/debug/tollgate schema) || \
		{ echo "$(SCHEMA) is stale: run \`make schema\`" >&2; exit 1; }

.PHONY: check-deny
check-deny:
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check; \
	else echo "cargo-deny is not installed: licences and advisories are not checked (cargo install cargo-deny --locked)"; fi

.PHONY: schema
schema: ## write the JSON Schema of the config
	cargo build --quiet -p tollgate
	$(TARGET_DIR)/debug/tollgate schema > $(SCHEMA)

.PHONY: release
release: ## the release build: TARGET_DIR/release/tollgate
	cargo build --release -p tollgate

.PHONY: bench
bench: release ## tollgate beside the proxies that are installed (BENCH="--only get --rounds 3")
	cargo run --release --quiet -p tollgate-bench -- compare --tollgate $(TARGET_DIR)/release/tollgate $(BENCH)

# The harness is built without optimisation: what it costs itself is not counted, and the release build is slow.
.PHONY: bench-instructions
bench-instructions: valgrind release ## user instructions of a request; fails past the budget
	cargo run --quiet -p tollgate-bench -- instructions --tollgate $(TARGET_DIR)/release/tollgate \
		--together --connections 64 --budget $(INSTRUCTIONS) $(BENCH)

.PHONY: valgrind
valgrind:
	@command -v valgrind >/dev/null || \
		{ echo "valgrind is not installed: apt-get install valgrind, or what your system has instead" >&2; exit 2; }

# cargo-fuzz asks for flags of the nightly compiler; RUSTC_BOOTSTRAP=1 makes the stable one take them.
.PHONY: fuzz
fuzz: ## every fuzz target for SECONDS (300) each; wants a C++ compiler and cargo-fuzz (FUZZ_TARGETS="path")
	@cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
	cargo run --quiet --manifest-path fuzz/Cargo.toml --example seeds $(abspath $(TARGET_DIR))/fuzz-corpus
	for target in $(FUZZ_TARGETS); do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir fuzz $$target \
			$(abspath $(TARGET_DIR))/fuzz-corpus/$$target fuzz/corpus/$$target -- \
			-max_total_time=$(SECONDS) -max_len=2048 -dict=fuzz/dict/$$target.dict -print_final_stats=1; \
	done

.PHONY: docs
docs: ## the documentation of the code, under TARGET_DIR/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

.PHONY: clean
clean: ## remove what was built
	cargo clean
