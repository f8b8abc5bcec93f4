//! Any text as a strategic merge patch and as a JSON patch.

#![no_main]

mod build;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for kustomization in [
        &b"resources: [a.yaml]\npatches: [{path: p.yaml, target: {kind: Deployment}}]\n"[..],
        b"resources: [a.yaml]\npatchesStrategicMerge: [p.yaml]\n",
    ] {
        build::run(&[("kustomization.yaml", kustomization), ("a.yaml", build::DEPLOYMENT), ("p.yaml", data)]);
    }
});
