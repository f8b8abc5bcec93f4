//! The real program (`hack/tools`), and its answers, which are kept beside the build's other output.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use driftless::engine::hash::Hash;

use super::case::Case;

/// What the program printed, or what it complained of.
pub(super) type Answer = Result<String, String>;

/// The path of a program of `hack/tools`, built if it isn't there.
pub(super) fn tool(name: &str) -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/hack/tools/build.sh");
    let output = Command::new(script).arg(name).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// Asks the program about a case, unless the same version of it was asked before.
pub(super) fn ask(case: &Case) -> Answer {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| tool("kustomize"));
    let mut key = program.to_str().unwrap().as_bytes().to_vec();
    key.extend(case.key());
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kustomize").join(Hash::of(&key).to_string());
    if let Ok(text) = fs::read_to_string(&kept) {
        return match text.strip_prefix("fails\n") {
            Some(error) => Err(error.to_owned()),
            None => Ok(text.strip_prefix("prints\n").unwrap().to_owned()),
        };
    }
    let folder = tempfile::tempdir().unwrap();
    case.write_to(folder.path());
    let answer = run(program, folder.path(), &case.build, &case.flags);
    let text = match &answer {
        Ok(output) => format!("prints\n{output}"),
        Err(error) => format!("fails\n{error}"),
    };
    // Written whole: another process may ask the same.
    let part = kept.with_extension(format!("{}.part", std::process::id()));
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    fs::write(&part, text).unwrap();
    fs::rename(&part, &kept).unwrap();
    answer
}

/// Builds a folder on disk with the program.
pub(super) fn run(program: &Path, root: &Path, build: &str, flags: &[String]) -> Answer {
    let output = Command::new(program).arg("build").arg(build).args(flags).current_dir(root).output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).replace(root.to_str().unwrap(), "."))
    }
}

/// Runs `work` for each of `items` on all processors.
pub(super) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(items.len().max(1));
    let share = items.len().div_ceil(workers).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            items.chunks(share).map(|chunk| scope.spawn(|| chunk.iter().map(&work).collect())).collect();
        threads.into_iter().flat_map(|thread| -> Vec<R> { thread.join().unwrap() }).collect()
    })
}
