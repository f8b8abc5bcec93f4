# What people type often. `just --list` shows it; `hack/test.sh` is what counts.

# Everything: format, lints, dependencies, all tests
test:
    hack/test.sh

# The tests that need no control plane
quick *args:
    cargo test --lib --bins {{args}}

# Format and lint
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# The agent against a real API server and an example repository
demo *args:
    hack/demo.sh {{args}}

# A real API server, until Ctrl-C
control-plane *args:
    hack/control-plane/up.sh {{args}}
