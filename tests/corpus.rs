//! The corpus: bytes in, and what must come out at both ends. `corpus/README.md` describes the files.

mod case;
mod check;
mod run;

use case::parse;

macro_rules! corpus {
    ($($name:ident: $file:literal;)*) => {
        $(
            #[test]
            fn $name() {
                run::file($file, include_str!(concat!("corpus/", $file)));
            }
        )*

        /// Every file, for the count.
        const FILES: &[(&str, &str)] = &[$(($file, include_str!(concat!("corpus/", $file)))),*];
    };
}

corpus! {
    framing_conflicts: "framing.case";
    chunk_syntax: "chunks.case";
    request_line: "request-line.case";
    r1_target_forms: "targets.case";
    field_syntax: "fields.case";
    host: "host.case";
    bodies: "bodies.case";
    pipelining: "pipelining.case";
    upgrades: "upgrades.case";
    paths_are_normalised_before_routing: "paths.case";
    hop_by_hop_fields: "hop-by-hop.case";
    r23_r32_r34_forwarding_fields: "forwarding.case";
    expectations: "expect.case";
    limits: "limits.case";
    answer_heads: "answer-heads.case";
    answer_bodies: "answer-bodies.case";
    r2_answers_leak_no_origin: "answer-leaks.case";
}

/// The test of each file runs every case of it; together they are enough.
#[test]
fn the_corpus_has_at_least_320_cases() {
    let cases: Vec<_> = FILES.iter().flat_map(|(file, text)| parse(file, text)).collect();
    let mut names: Vec<_> = cases.iter().map(|case| format!("{}/{}", case.file, case.name)).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "two cases share a name");
    assert!(cases.len() >= 320, "{} cases", cases.len());
    let answers = cases.iter().filter(|case| case.answer.is_some()).count();
    assert!(answers >= 80, "{answers} cases of origin answers");
}
