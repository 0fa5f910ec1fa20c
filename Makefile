# Two commands do everything on a fresh machine: `make demo` and `make test`.
.PHONY: demo test lint docs bench bench-scale fuzz fuzz-smoke deny setup model

CARGO ?= cargo

setup:
	@sh scripts/setup.sh

# The main job on real input: back up, change, back up again, restore both, compare.
demo: setup
	$(CARGO) build --release --locked
	@sh scripts/demo.sh target/release/restow

# One profile (release) for build, tests, lints and docs: RocksDB is compiled once.
test: setup
	@rm -rf "$${CARGO_TARGET_DIR:-target}/tmp/skips"
	$(CARGO) test --release --locked
	@sh scripts/skips.sh

# The prune protocol's model, explored to the end: minutes, and up to 2 GB. `make test` explores a slice.
model: setup
	$(CARGO) test --release --locked --test restow_tests -- --ignored --nocapture --test-threads 1 protocol::explore

lint: setup
	$(CARGO) fmt --check
	$(CARGO) clippy --release --locked --all-targets -- -D warnings
	$(CARGO) clippy --release --locked --lib --bin restow -- -D warnings

docs: setup
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --no-deps

bench: setup
	$(CARGO) bench --locked --bench speed --bench memory --bench nights --no-fail-fast

# 20 million chunks, 5,000 snapshots (docs/SCALE.md): half an hour, 6 GB of disk. A quick trial: RESTOW_SCALE_CHUNKS=400000.
bench-scale: setup
	RESTOW_SCALE_CHUNKS=$${RESTOW_SCALE_CHUNKS:-20000000} $(CARGO) bench --locked --bench scale

deny:
	@sh scripts/deny.sh

# Every decoder, SECONDS each. Needs a nightly toolchain; without one it says so and does nothing.
SECONDS ?= 60
fuzz: setup
	@sh scripts/fuzz.sh $(SECONDS)

fuzz-smoke: setup
	@sh scripts/fuzz.sh 3
