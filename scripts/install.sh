#!/usr/bin/env bash
# Installs the pinned packages, and the one library that the pinned Node.js needs and a small Debian lacks.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

command -v npm >/dev/null || { echo 'npm is missing: install Node.js 20 or newer, then run this again' >&2; exit 1; }
npm ci
if ! node --version >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -q
    apt-get install -y -q --no-install-recommends libatomic1
  fi
  node --version >/dev/null || { echo 'the pinned Node.js does not start: install libatomic1, then run this again' >&2; exit 1; }
fi
touch node_modules/.package-lock.json
