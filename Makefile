# Two commands do everything on a fresh machine: `make demo` and `make test`.
.PHONY: demo test lint docs bench fuzz fuzz-smoke licences setup

CARGO ?= cargo

setup:
	@sh scripts/setup.sh

# The main job on real input: back up, change, back up again, restore both, compare.
demo: setup
	$(CARGO) build --release --locked
	@sh scripts/demo.sh target/release/restow

# One profile (release) for build, tests, lints and docs: RocksDB is compiled once.
test: setup
	$(CARGO) test --release --locked

lint: setup
	$(CARGO) fmt --check
	$(CARGO) clippy --release --locked --all-targets -- -D warnings

docs: setup
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --no-deps

bench: setup
	$(CARGO) bench --locked --bench speed --bench memory --bench nights --no-fail-fast

licences:
	@sh scripts/licences.sh

# Every decoder, SECONDS each. Needs a nightly toolchain; without one it says so and does nothing.
SECONDS ?= 60
fuzz: setup
	@sh scripts/fuzz.sh $(SECONDS)

fuzz-smoke: setup
	@sh scripts/fuzz.sh 3
