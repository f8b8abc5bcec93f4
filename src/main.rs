//! The `driftless` program: parses arguments and calls [`driftless::cli::run`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything speaks TLS: with several providers compiled in, rustls would panic instead of choosing one.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("error: another TLS provider was installed first");
        return ExitCode::FAILURE;
    }
    driftless::cli::run(std::env::args_os())
}
