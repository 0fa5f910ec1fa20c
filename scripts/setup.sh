#!/bin/sh
# Installs what building restow needs and a bare Debian misses. Asks nothing, repeats nothing.
set -eu

missing=""
have() { command -v "$1" >/dev/null 2>&1; }
have cc || missing="$missing build-essential"
have c++ || have g++ || missing="$missing build-essential"
have make || missing="$missing make"
# RocksDB's bindings are generated with libclang and the headers that come with it.
libclang() {
    ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* /usr/lib64/libclang.so* /usr/lib/libclang.so* \
        2>/dev/null | grep -v cpp | grep -q .
}
headers() { ls /usr/lib*/llvm-*/lib/clang/*/include/stddef.h /usr/lib*/clang/*/include/stddef.h 2>/dev/null | grep -q .; }
libclang && headers || missing="$missing libclang-dev"

if [ -n "$missing" ]; then
    if ! have apt-get; then
        echo "restow needs:$missing — install them with your package manager, then run make again" >&2
        exit 1
    fi
    as_root=""
    [ "$(id -u)" = 0 ] || as_root="sudo"
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get update -qq
    # shellcheck disable=SC2086
    $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

if ! have cargo; then
    echo "restow needs Rust 1.95 or newer: https://rustup.rs" >&2
    exit 1
fi
