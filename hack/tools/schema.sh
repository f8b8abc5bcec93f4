#!/usr/bin/env bash
# Writes the table of Kubernetes' merge keys and scopes that Driftless merges with, from the kustomize that go.mod pins;
# or checks that the table in the repository is the one that would be written.
#
# usage: hack/tools/schema.sh [--check]
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
table="$here/../../src/render/kustomize/tables/kubernetes.txt"
made=$(mktemp)
trap 'rm -f "$made"' EXIT
(cd "$here" && CGO_ENABLED=0 go run -mod=readonly ./schema) > "$made"
case ${1:-} in
  "") cp "$made" "$table" ;;
  --check)
    diff -u "$table" "$made" || {
      echo "error: src/render/kustomize/tables/kubernetes.txt isn't what hack/tools/schema.sh makes; run it" >&2
      exit 1
    } ;;
  *) echo "usage: hack/tools/schema.sh [--check]" >&2; exit 2 ;;
esac
