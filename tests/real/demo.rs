//! The README's command for the main job does what it says, and ends.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take on a busy machine; each of its steps gives up much earlier.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn the_demonstration_shows_two_reverts_and_a_deployment() {
    let folder = tempfile::tempdir().unwrap();
    let (work, output) = (folder.path().join("work"), folder.path().join("output"));
    fs::create_dir(&work).unwrap();
    let file = File::create(&output).unwrap();
    let mut demo = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/demo.sh"))
        .arg("--once")
        .env("DRIFTLESS_BIN", env!("CARGO_BIN_EXE_driftless"))
        .env("TMPDIR", &work)
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let until = Instant::now() + PATIENCE;
    let ended = loop {
        match demo.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() < until => std::thread::sleep(Duration::from_millis(100)),
            None => {
                // It then stops what it has started.
                let stopped = Command::new("kill").args(["-TERM", &demo.id().to_string()]).status().unwrap();
                assert!(stopped.success());
                demo.wait().unwrap();
                break None;
            }
        }
    };
    let told = fs::read_to_string(&output).unwrap();
    assert!(ended.is_some_and(|status| status.success()), "{ended:?} after {PATIENCE:?} at most:\n{told}");
    for text in ["shop", "Synced", "Reverted.", "Back again.", "Deployed."] {
        assert!(told.contains(text), "{text} is missing:\n{told}");
    }
    let left: Vec<_> = fs::read_dir(&work).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [""; 0], "it leaves nothing behind");
}
