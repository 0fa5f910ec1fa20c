#!/bin/sh
# Builds the fuzz targets (libFuzzer, without RocksDB) and runs each for $1 seconds from its seed corpus.
set -eu

seconds=${1:-60}
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "fuzz: no nightly toolchain here, nothing was run"
    exit 0
fi
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTFLAGS
cargo +nightly build --release --locked --quiet --manifest-path fuzz/Cargo.toml --target-dir fuzz/target \
    --target "$host" --bins

found=fuzz/corpus-found
run() {
    mkdir -p "$found/$1" fuzz/artifacts
    if "fuzz/target/$host/release/$1" "$found/$1" "fuzz/corpus/$1" -max_total_time="$seconds" -rss_limit_mb=512 \
        -timeout=10 -max_len=65536 -artifact_prefix="fuzz/artifacts/$1-" >"$found/$1.log" 2>&1; then
        echo "fuzz $1: $(grep -o 'Done [0-9]* runs in [0-9]* second' "$found/$1.log")s, no finding"
    else
        tail -n 30 "$found/$1.log" >&2
        echo "fuzz $1: FINDING, see fuzz/artifacts and $found/$1.log" >&2
        return 1
    fi
}

# Two at a time: one a core on the smallest machine.
set -- $(ls fuzz/targets | sed 's/\.rs$//')
while [ $# -gt 0 ]; do
    run "$1" & first=$!
    if [ $# -gt 1 ]; then
        run "$2"
        shift
    fi
    wait "$first"
    shift
done
