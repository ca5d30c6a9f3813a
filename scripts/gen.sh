#!/bin/sh
# Writes the gen folder of each room, and the conformance tests', from the .proto files.
#   scripts/gen.sh           replaces the generated folders
#   scripts/gen.sh --check   generates to a temporary folder and fails when the checked-in files differ
set -eu
cd "$(dirname "$0")/.."
ROOT=$PWD
PATH="$PWD/node_modules/.bin:$PATH"

# The generated code must be erasable TypeScript (Node runs it unbuilt) and pull in only @bufbuild/protobuf/wire.
OPTIONS=esModuleInterop=true,env=node,importSuffix=.ts,oneof=unions-value,forceLong=bigint,outputServices=grpc-js
OPTIONS=$OPTIONS,outputJsonMethods=false,exportCommonSymbols=false,useExactTypes=false,enumsAsLiterals=true

typescript() { # <folder of .proto files> <output folder> [<subfolder>...]
  root=$1 out=$2
  shift 2
  [ $# -gt 0 ] || set -- .
  mkdir -p "$out"
  # Sorted, so that the order in which a disk lists its files never shows in the output.
  (cd "$root" && find "$@" -name '*.proto' | sed 's|^\./||' | LC_ALL=C sort) >"$out/files"
  options=$OPTIONS
  # A client whose method is called close would hide that of grpc-js.
  if (cd "$root" && xargs grep -q 'rpc Close(' <"$out/files"); then options=$options,outputClientImpl=false; fi
  (cd "$root" && xargs protoc \
    --plugin="protoc-gen-ts_proto=$ROOT/node_modules/.bin/protoc-gen-ts_proto" \
    --ts_proto_out="$out" --ts_proto_opt="$options" --proto_path=.) <"$out/files"
}

generate() { # the same
  typescript "$@"
  # What reflection answers with: the files that declare services, and all they import.
  (cd "$root" && xargs grep -l '^service ' <"$out/files" | xargs protoc \
    --include_imports --descriptor_set_out="$out/descriptors.binpb" --proto_path=.)
  node scripts/descriptors.ts "$out/descriptors.binpb" >"$out/descriptors.ts"
  rm "$out/descriptors.binpb"
}

# Where the generated code of each room stands, and from which folders of proto/ it is made.
generate_rooms() { # <output folder>
  generate proto "$1/go-plugin" goplugin grpc descriptor
  generate proto "$1/spire-sdk" spire/hostservice spire/plugin spire/service
  # SPIRE's server API is only ever called, so it needs no descriptors, and no plugin carries it.
  typescript proto "$1/spire-api" spire/api grpc/health
}

# go-plugin's examples share package and message names, so each folder is a run of its own.
generate_examples() { # <output folder>
  for folder in test/conformance/proto/*/; do
    generate "${folder%/}" "$1/$(basename "$folder")"
  done
}

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
generate_rooms "$fresh/rooms"
generate_examples "$fresh/conformance"
find "$fresh" -name files -exec rm {} +

# Prints each generated folder and the place it belongs to.
pairs() {
  for room in "$fresh"/rooms/*/; do
    echo "$room plugins/$(basename "$room")/gen"
  done
  echo "$fresh/conformance test/conformance/gen"
}

if [ "${1:-}" = --check ]; then
  pairs | while read -r made kept; do diff -r "$made" "$kept" || exit 1; done || {
    echo 'generated files differ from their .proto files: run scripts/gen.sh and commit the result' >&2
    exit 1
  }
  echo 'generated files are up to date'
else
  pairs | while read -r made kept; do
    rm -rf "$kept"
    cp -r "$made" "$kept"
  done
fi
