//! A scan: the rows of a range, merged from runs and checkpointed rows, where the newest version of a key counts.

use std::cmp::Ordering;

use crate::change::{RelationId, Row};

use super::base::BaseCursor;
use super::epoch::Epoch;
use super::error::StoreError;
use super::range::KeyRange;
use super::run::{Change, Slice};

/// At most `limit` rows of `range` in key order, or in reverse key order.
pub(super) fn scan(
    epoch: &Epoch,
    relation: RelationId,
    range: &KeyRange,
    reverse: bool,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let newest_first = epoch.runs().iter().rev().map(|run| run.slice(relation, range));
    let mut runs = RunCursors { slices: newest_first.filter(|slice| !slice.is_empty()).collect(), reverse, next: None };
    runs.find_next();
    let base = epoch.base().map(|base| base.cursor(relation, range, reverse, limit)).transpose()?;
    let mut base = base.flatten();
    let mut rows = Vec::new();
    while rows.len() < limit {
        let changed = runs.next.map(|next| runs.peek(next));
        match order(changed, base.as_ref(), reverse)? {
            None => break,
            Some(Ordering::Greater) => {
                if let Some(base) = &mut base {
                    rows.extend(base.row()?);
                    base.advance();
                }
            }
            Some(which) => {
                if let (Ordering::Equal, Some(base)) = (which, &mut base) {
                    base.advance();
                }
                rows.extend(changed.map(|it| it.row()).filter(|row| !row.is_tombstone()).cloned());
                runs.advance();
            }
        }
    }
    Ok(rows)
}

/// Which comes first: `Less` the changed row, `Greater` the checkpointed one, `Equal` both at once, `None` neither.
fn order(
    changed: Option<Change<'_>>,
    base: Option<&BaseCursor<'_>>,
    reverse: bool,
) -> Result<Option<Ordering>, StoreError> {
    let checkpointed = base.map_or(Ok(None), BaseCursor::key)?;
    Ok(match (changed, checkpointed) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(changed), Some(key)) => {
            let order = changed.row().key().cmp(key);
            Some(if reverse { order.reverse() } else { order })
        }
    })
}

/// What is left of each run, newest run first.
struct RunCursors<'a> {
    slices: Vec<Slice<'a>>,
    reverse: bool,
    /// The run that holds the next key; of several the newest.
    next: Option<usize>,
}

impl<'a> RunCursors<'a> {
    fn peek(&self, run: usize) -> Change<'a> {
        self.slices[run].peek(self.reverse)
    }

    /// Steps behind the next key in every run.
    fn advance(&mut self) {
        let Some(next) = self.next else { return };
        let passed = self.peek(next);
        for run in (next..self.slices.len()).rev() {
            if !self.peek(run).same_key(&passed) {
                continue;
            }
            let left = self.slices[run].rest(self.reverse);
            if left.is_empty() {
                self.slices.remove(run);
            } else {
                self.slices[run] = left;
            }
        }
        self.find_next();
    }

    fn find_next(&mut self) {
        let order = |a: usize, b: usize| {
            let order = self.peek(a).order(&self.peek(b));
            if self.reverse { order.reverse() } else { order }
        };
        self.next = (0..self.slices.len()).reduce(|best, run| if order(run, best).is_lt() { run } else { best });
    }
}
