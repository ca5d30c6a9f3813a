#!/bin/sh
# Writes the gen folders (plugins, plugins/spire-api, conformance tests) from the .proto files.
#   scripts/gen.sh           replaces the generated folders
#   scripts/gen.sh --check   generates to a temporary folder and fails when the checked-in files differ
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"

# The generated code must be erasable TypeScript (Node runs it unbuilt) and pull in only @bufbuild/protobuf/wire.
OPTIONS=esModuleInterop=true,env=node,importSuffix=.ts,oneof=unions-value,forceLong=bigint,outputServices=grpc-js
OPTIONS=$OPTIONS,outputJsonMethods=false,exportCommonSymbols=false,useExactTypes=false,enumsAsLiterals=true

# Sorted, so that the order in which a disk lists its files never shows in the output.
typescript() { # <folder of .proto files> <output folder> <what find takes: which of them>
  from=$1 to=$2
  shift 2
  mkdir -p "$to"
  find "$from" -name '*.proto' "$@" | LC_ALL=C sort | xargs protoc \
    --plugin="protoc-gen-ts_proto=$PWD/node_modules/.bin/protoc-gen-ts_proto" \
    --ts_proto_out="$to" --ts_proto_opt="$OPTIONS" --proto_path="$from"
}

# SPIRE's server API is only ever called, so it needs no descriptors, and no plugin carries it.
SPIRE_API='*/spire/api/*'

generate() { # <folder of .proto files> <output folder>
  typescript "$1" "$2" -not -path "$SPIRE_API"
  # What reflection answers with: the files that declare services, and all they import.
  find "$1" -name '*.proto' -not -path "$SPIRE_API" -exec grep -l '^service ' {} + | LC_ALL=C sort | xargs protoc \
    --include_imports --descriptor_set_out="$2/descriptors.binpb" --proto_path="$1"
  node scripts/descriptors.ts "$2/descriptors.binpb" >"$2/descriptors.ts"
  rm "$2/descriptors.binpb"
}

# go-plugin's examples share package and message names, so each folder is a run of its own.
generate_all() { # <output folders for proto, for test/conformance/proto, for SPIRE's server API>
  generate proto "$1"
  typescript proto "$3" '(' -path "$SPIRE_API" -o -path '*/health/*' ')'
  for folder in test/conformance/proto/*/; do
    generate "${folder%/}" "$2/$(basename "$folder")"
  done
}

if [ "${1:-}" = --check ]; then
  fresh=$(mktemp -d)
  trap 'rm -rf "$fresh"' EXIT
  generate_all "$fresh/plugins" "$fresh/conformance" "$fresh/spire-api"
  if diff -r "$fresh/plugins" plugins/gen && diff -r "$fresh/conformance" test/conformance/gen &&
    diff -r "$fresh/spire-api" plugins/spire-api/gen; then
    echo 'generated files are up to date'
  else
    echo 'generated files differ from their .proto files: run scripts/gen.sh and commit the result' >&2
    exit 1
  fi
else
  rm -rf plugins/gen test/conformance/gen plugins/spire-api/gen
  generate_all plugins/gen test/conformance/gen plugins/spire-api/gen
fi
