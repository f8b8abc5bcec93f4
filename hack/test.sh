#!/usr/bin/env bash
# Everything that must pass: format, lints, dependencies, and all tests, those against a real API server included.
# What is missing is installed (Debian's git, C compiler and Python by apt-get) or built (cargo-deny, the control plane, kustomize) into a
# cache folder, once: 10 to 15 minutes on two cores.
#
# usage: hack/test.sh
set -euo pipefail
cd "$(dirname "$0")/.."

deny_version=0.20.2
cache=${DRIFTLESS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/driftless}
begin=$SECONDS

step() { echo "== $* ($((SECONDS - begin)) s)"; }

# need PROGRAM PACKAGE: installs the Debian package unless the program is there.
need() {
  command -v "$1" >/dev/null && return
  step "installing $2"
  local root=()
  [ "$(id -u)" = 0 ] || root=(sudo -n)
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2"
}
need git git
need cc gcc
need python3 python3
for program in cargo go; do
  command -v $program >/dev/null || { echo "error: $program is missing; README.md says what is needed" >&2; exit 1; }
done

deny=$cache/tools/cargo-deny-$deny_version
if [ ! -x "$deny/bin/cargo-deny" ]; then
  step "building cargo-deny $deny_version"
  env -u CARGO_TARGET_DIR cargo install cargo-deny --locked --quiet --version "$deny_version" --root "$deny"
fi

step "format"
cargo fmt --check

step "dependencies"
"$deny/bin/cargo-deny" check --hide-inclusion-graph --allow duplicate bans licenses sources

step "lints"
cargo clippy --locked --all-targets -- -D warnings

step "control plane"
hack/control-plane/build.sh

step "programs to compare with"
hack/tools/build.sh kustomize
hack/tools/build.sh krusty

step "tables"
hack/tools/schema.sh --check
hack/schema/types.sh --check

step "tests"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
cargo test --locked --no-fail-fast 2>&1 | tee "$log" || failed=1
totals=$(awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
  END { printf "%d passed, %d failed, %d ignored", passed, failed, ignored }' "$log")
step "tests: $totals"
case $totals in
  0\ passed*) echo "error: no test ran" >&2; exit 1 ;;
  *" 0 failed, 0 ignored") ;;
  *) failed=1 ;;
esac
[ $failed = 0 ] || { echo "error: a test failed or was left out" >&2; exit 1; }
step "all well"
