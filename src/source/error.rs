//! Why a table of a source cannot be used: in the words of its kind, and whether that may pass by itself.

/// Why a table of a source cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SourceError {
    /// Of what kind it is.
    pub kind: ErrorKind,
    /// What is wrong, and where it helps what to do.
    pub text: String,
}

/// What ends an error of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It may pass without anybody's doing: a service may be about to create its file, and then its tables.
    Transient,
    /// A person has to mend something, at the source or in the declaration.
    NeedsPerson,
}

impl SourceError {
    /// Whether it may pass without anybody's doing.
    pub fn is_transient(&self) -> bool {
        self.kind == ErrorKind::Transient
    }
}
