#!/usr/bin/env bash
# Builds a program that Driftless is compared with into a cache folder, once per version, and prints its path. Nothing
# is downloaded but Go modules.
#
# usage: hack/tools/build.sh [kustomize | krusty]
#   kustomize   the real program, as it is released (default)
#   krusty      its Go API, serving many builds from one process (hack/tools/krusty)
set -euo pipefail

program=${1:-kustomize}
here=$(cd "$(dirname "$0")" && pwd)
version=$(awk '$1 == "sigs.k8s.io/kustomize/kustomize/v5" { print $2 }' "$here/go.mod")
key=$(cat "$here/go.mod" "$here/go.sum" "$0" "$here"/krusty/*.go | sha256sum | cut -c1-12)
cache=${DRIFTLESS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/driftless}/tools/kustomize-$version-$key
case $program in
  kustomize) package=sigs.k8s.io/kustomize/kustomize/v5 ;;
  krusty) package=./krusty ;;
  *) echo "error: unknown program $program; it is kustomize or krusty" >&2; exit 2 ;;
esac
if [ -x "$cache/$program" ]; then
  echo "$cache/$program"
  exit 0
fi

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
if [ ! -x "$cache/$program" ]; then
  echo "tools: building $program ($version)" >&2
  # The version that releases carry: it shows in what `buildMetadata: [managedByLabel]` adds.
  stamp="-X sigs.k8s.io/kustomize/api/provenance.version=$version"
  (cd "$here" && CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags "-s -w $stamp" -o "$cache/$program.part" "$package") >&2
  mv "$cache/$program.part" "$cache/$program"
fi
echo "$cache/$program"
