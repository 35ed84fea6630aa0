#!/usr/bin/env bash
# Installs what the machine lacks. The build needs a C and C++ compiler and libclang (RocksDB's bindings are generated at
# build time), make, and OpenSSL with pkg-config (for TLS to Kafka's brokers). The tests need python3 (SQLite files are written from another process with it), valgrind (the
# slope test counts instructions with it) and PostgreSQL's server (answers are compared with its); `setup.sh build`
# leaves those out. `setup.sh real` adds what Kafka, Debezium and MariaDB need to run here: Java, Maven, MariaDB's
# server, and Node for an example.
set -euo pipefail

missing=()
command -v cc >/dev/null && command -v c++ >/dev/null || missing+=(build-essential)
command -v make >/dev/null || missing+=(make)
if [ "${1:-}" != build ]; then
    command -v python3 >/dev/null || missing+=(python3)
    command -v valgrind >/dev/null || missing+=(valgrind)
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
fi
if [ "${1:-}" = real ]; then
    command -v javac >/dev/null || missing+=(default-jdk-headless)
    command -v mvn >/dev/null || missing+=(maven)
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    command -v curl >/dev/null || missing+=(curl)
    { command -v mariadbd && command -v mariadb-install-db && command -v mariadb; } >/dev/null || missing+=(mariadb-server)
fi
has_libclang() {
    local found
    found=$(find "${LIBCLANG_PATH:-/usr/lib}" /usr/lib -maxdepth 3 -name 'libclang[.-]*so*' ! -name '*cpp*' 2>/dev/null)
    [ -n "$found" ]
}
has_libclang || missing+=(libclang-dev)
command -v pkg-config >/dev/null || missing+=(pkg-config)
pkg-config --exists openssl 2>/dev/null || missing+=(libssl-dev)

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
