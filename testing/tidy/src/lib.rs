//! Checks that hold the project's rules on layers, sizes, dependencies and tests.
//!
//! Every check is a pure function from a [`Workspace`] (or a part of it) to the [`Finding`]s; `tests/tidy.rs`
//! runs them over the real tree, the unit tests over samples that must be reported.

pub mod correctness;
pub mod forbidden;
pub mod layers;
pub mod manifests;
pub mod sizes;
pub mod snapshots;
pub mod source;
pub mod sql;
pub mod workspace;

pub use source::Source;
pub use workspace::{Crate, Dependency, Kind, Workspace};

/// One broken rule and where it is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file or crate, with a line where there is one: `path:line`.
    pub place: String,
    /// What is wrong, and what to do instead.
    pub message: String,
}

impl Finding {
    /// A finding about a crate or a whole file.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }

    /// A finding at a line (counted from 1) of a file.
    pub fn at(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self::new(format!("{path}:{line}"), message)
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}
