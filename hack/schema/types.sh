#!/usr/bin/env bash
# Writes what the embedded control plane knows from the real server of hack/control-plane: the table of the built-in types,
# which it merges, defaults and validates with, and what is said of the columns of tables; or checks that the files in the
# repository are the ones that would be written.
#
# usage: hack/schema/types.sh [--check]
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
sim=$here/../../src/sim
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The server runs as long as its standard input is open.
mkfifo "$work/open"
"$here/../control-plane/up.sh" --until-eof <"$work/open" >"$work/server" &
exec 8>"$work/open"
until grep -q '^READY$' "$work/server" 2>/dev/null; do
  kill -0 $! || { echo "error: no API server" >&2; exit 1; }
  sleep 0.2
done
kubeconfig=$(sed -n 's/^KUBECONFIG=//p' "$work/server")
server=$(sed -n 's/.*server: "\([^"]*\)".*/\1/p' "$kubeconfig")
(cd "$here/../control-plane" && CGO_ENABLED=0 go run -mod=readonly ./shapes) >"$work/shapes"
{
  echo "# The numbers of the fields of kube-apiserver's types as protocol buffers. Made by hack/schema/types.sh; don't edit."
  echo "#"
  echo "# A type, then NAME=NUMBER for each field; +TYPE=NUMBER: a type whose fields are this one's in JSON."
  (cd "$here/../control-plane" && CGO_ENABLED=0 go run -mod=readonly ./shapes numbers) | grep -vE '^[a-z]+\.v[0-9]+(alpha|beta)'
} >"$work/numbers.txt"
python3 "$here/types.py" "$server" admin-token "$work/shapes" >"$work/types.txt"
python3 "$here/columns.py" "$server" admin-token "$sim/apiserver/resources.txt" >"$work/descriptions.txt"
exec 8>&-
wait

for file in schema/types.txt schema/numbers.txt apiserver/columns/descriptions.txt; do
  made=$work/${file##*/}
  case ${1:-} in
    "") cp "$made" "$sim/$file" ;;
    --check)
      diff -u "$sim/$file" "$made" || {
        echo "error: src/sim/$file isn't what hack/schema/types.sh makes; run it" >&2
        exit 1
      } ;;
    *) echo "usage: hack/schema/types.sh [--check]" >&2; exit 2 ;;
  esac
done
