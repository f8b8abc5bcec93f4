//! Any kustomization beside a resource and a file.

#![no_main]

mod build;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    build::run(&[
        ("kustomization.yaml", data),
        ("a.yaml", build::DEPLOYMENT),
        ("base/kustomization.yaml", b"resources: [../a.yaml, b.yaml]\n"),
        ("base/b.yaml", b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {a: b}\n"),
        ("file.txt", b"A=b\nC=d\n"),
    ]);
});
