# Everything that a fresh Debian machine with Rust, Python 3 and make needs is set up by the targets themselves.
# `make` alone lists them.

CARGO ?= cargo
# With --locked and a filled registry cargo asks no network; what was tested is what gets built.
LOCKED ?= --locked
# Tests, demo and benchmarks need a NATS server: found on PATH, or got once into .tools/.
WITH_NATS := tools/with-nats
CATENA := $(WITH_NATS) $(CARGO) run --release $(LOCKED) --quiet -p catena-cli --bin catena --

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[a-z ]*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-14s %s\n", $$1, $$2 }'

# Said at once and in words, instead of in the middle of a build.
.PHONY: need
need:
	@command -v $(firstword $(CARGO)) >/dev/null || { echo "Rust is needed: no '$(firstword $(CARGO))' on PATH" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "A C compiler is needed, as by all of Rust: apt-get install gcc libc6-dev" >&2; exit 1; }

.PHONY: demo
demo: need ## a small cluster on this machine, and what it can do, step by step
	@$(WITH_NATS) true
	$(CARGO) build --release $(LOCKED) -p catena-cli --bin catena
	@$(CATENA) demo

.PHONY: nats
nats: ## a NATS server for the targets above and below, if there is none
	@$(WITH_NATS) sh -c '$${NATS_SERVER_BIN:-nats-server} --version'

.PHONY: build
build: need ## the program, as target/release/catena
	$(CARGO) build --release $(LOCKED) -p catena-cli --bin catena

.PHONY: test
test: need ## all tests: unit, integration, documentation
	$(WITH_NATS) tools/with-nats-py $(CARGO) test --workspace $(LOCKED) --no-fail-fast

SEEDS ?= 2000
.PHONY: sim
sim: need ## 2,000 simulated clusters with faults (SEEDS=N: so many), and every known bug put back
	$(CARGO) run --release $(LOCKED) --quiet -p catena-sim -- --seeds $(SEEDS)
	$(CARGO) test --release $(LOCKED) -p catena-sim

.PHONY: check
check: fmt clippy doc purity ## all checks that run no program: format, lints, documentation, purity

.PHONY: fmt
fmt: ## the sources are formatted
	$(CARGO) fmt --all --check

.PHONY: clippy
clippy: ## no warnings
	$(CARGO) clippy --workspace --all-targets $(LOCKED) -- -D warnings

.PHONY: doc
doc: ## the documentation builds, with no dead links
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps $(LOCKED)

.PHONY: purity
purity: ## the rule machines see no clock, no chance, no network, no disk
	tools/check-purity
	$(CARGO) check --quiet -p catena-protocol -p catena-storage --no-default-features $(LOCKED)

.PHONY: licences
licences: ## every dependency's licence and source is allowed (needs cargo-deny)
	$(CARGO) fetch $(LOCKED)
	$(CARGO) deny --locked --offline check licenses bans sources

.PHONY: bench
bench: need ## throughput and latency on this machine
	@$(WITH_NATS) true
	$(CARGO) build --release $(LOCKED) -p catena-cli --bin catena
	@$(CATENA) bench

# For example: make chaos CHAOS='--seconds 60 --seed 7'
CHAOS ?= --seconds 900

.PHONY: chaos
chaos: need ## real processes, broken in every way for 15 minutes while clients use them; then what these saw is judged
	@$(WITH_NATS) true
	$(CARGO) build --release $(LOCKED) -p catena-cli -p catena-chaos --bins
	$(WITH_NATS) $(CARGO) run --release $(LOCKED) --quiet -p catena-chaos -- $(CHAOS)

.PHONY: compose-test
compose-test: ## compose.yaml for real, in containers (needs a Docker engine)
	tests/compose/run

.PHONY: clean
clean: ## remove what was built, and the NATS server that was got
	$(CARGO) clean
	rm -rf .tools
