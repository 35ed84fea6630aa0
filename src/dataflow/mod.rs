//! The running plan: operators over arrangements, one epoch at a time.
