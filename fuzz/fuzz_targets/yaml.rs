//! A resource in any YAML, read, carried through a build, and written.

#![no_main]

mod build;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    build::run(&[
        ("kustomization.yaml", b"resources: [a.yaml, b.yaml]\nnamePrefix: p-\nnamespace: n\n"),
        ("a.yaml", data),
        ("b.yaml", build::DEPLOYMENT),
    ]);
});
