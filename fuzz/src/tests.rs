//! What fuzzing found once stays found: every seed and every file of the corpora, without libFuzzer.

use std::panic::catch_unwind;
use std::path::Path;

use crate::seeds::TARGETS;

#[test]
fn seeds_and_corpora_hold() {
    let mut failed = 0;
    for target in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        let files = std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
        let corpus = files.map(|file| std::fs::read(file.path()).unwrap());
        for input in target.seeds().chain(corpus) {
            if catch_unwind(|| (target.check)(&input)).is_err() {
                failed += 1;
                eprintln!("{}: \"{}\"\n", target.name, input.escape_ascii());
            }
        }
    }
    assert_eq!(failed, 0, "inputs break a property");
}
