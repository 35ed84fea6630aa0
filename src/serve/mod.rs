//! Read-only out: HTTP and SQL over published epochs.
