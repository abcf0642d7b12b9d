//! From the tree to a type, with every mistake reported at once.

use super::de::{Cursor, Trail};
use super::repair::Repairs;
use super::{Node, Problem};
use serde::de::DeserializeOwned;

const MOST_PROBLEMS: usize = 100;
/// Stand-ins for missing keys cost attempts that report nothing.
const MOST_ATTEMPTS: usize = 1000;

/// Decodes the value at `path` of a document into a type.
///
/// # Errors
/// Every mistake that serde finds in it, up to a hundred.
pub fn decode<T: DeserializeOwned>(node: &Node, path: &str) -> Result<T, Vec<Problem>> {
    match decode_partial(node, path) {
        (Some(value), problems) if problems.is_empty() => Ok(value),
        (_, problems) => Err(problems),
    }
}

/// Like [`decode`], but also gives what can be had in spite of the mistakes.
///
/// In that value whatever was wrong is left out, or stands at some default: it is good for finding out more that is
/// wrong with the document, and for nothing else.
pub fn decode_partial<T: DeserializeOwned>(node: &Node, path: &str) -> (Option<T>, Vec<Problem>) {
    let mut repairs = Repairs::default();
    let mut problems: Vec<Problem> = Vec::new();
    for _ in 0..MOST_ATTEMPTS {
        let failure = match T::deserialize(Cursor::new(node, &Trail::root(path), &repairs)) {
            Ok(value) => return (Some(value), problems),
            Err(failure) => failure,
        };
        let (problem, repair) = failure.into_parts(node, path);
        problems.extend(problem);
        // Without the root there is nothing left to look at.
        if problems.len() >= MOST_PROBLEMS || !repairs.apply(repair) || repairs.skips(node) {
            break;
        }
    }
    (None, problems)
}
