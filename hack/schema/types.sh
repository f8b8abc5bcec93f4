#!/usr/bin/env bash
# Writes the table of the API server's built-in types that the embedded control plane merges, defaults and validates with,
# from the real server of hack/control-plane; or checks that the table in the repository is the one that would be written.
#
# usage: hack/schema/types.sh [--check]
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
table=$here/../../src/sim/schema/types.txt
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
python3 "$here/types.py" "$server" admin-token "$work/shapes" >"$work/types.txt"
exec 8>&-
wait

case ${1:-} in
  "") cp "$work/types.txt" "$table" ;;
  --check)
    diff -u "$table" "$work/types.txt" || {
      echo "error: src/sim/schema/types.txt isn't what hack/schema/types.sh makes; run it" >&2
      exit 1
    } ;;
  *) echo "usage: hack/schema/types.sh [--check]" >&2; exit 2 ;;
esac
