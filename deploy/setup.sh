#!/usr/bin/env bash
# Installs what the build needs and the machine lacks: a C and C++ compiler and libclang (RocksDB's bindings are
# generated at build time), make and python3 (the tests write SQLite files from another process with it).
set -euo pipefail

missing=()
command -v cc >/dev/null && command -v c++ >/dev/null || missing+=(build-essential)
command -v make >/dev/null || missing+=(make)
command -v python3 >/dev/null || missing+=(python3)
ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* "${LIBCLANG_PATH:-/nonexistent}"/libclang*.so* 2>/dev/null |
    grep -vq 'libclang-cpp' || missing+=(libclang-dev)

if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then
        echo "Vantage needs: ${missing[*]} (Debian's names). Install them with this system's package manager." >&2
        exit 1
    fi
    sudo=""
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Vantage needs: ${missing[*]}. As root: apt-get install -y ${missing[*]}" >&2
            exit 1
        fi
        sudo="sudo"
    fi
    echo "installing ${missing[*]}"
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "${missing[@]}" >/dev/null
fi

if ! command -v cargo >/dev/null; then
    echo "Vantage needs Rust 1.95 or newer: https://rustup.rs" >&2
    exit 1
fi
