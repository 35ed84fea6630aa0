//! The rows of an answer as bytes: `{"columns": […], "rows": [[…]…], "epoch": "1-42"}`, or lines.

use axum::http::StatusCode;

use crate::serve::format::{Format, write_label};
use crate::serve::json;
use crate::serve::problem::Problem;
use crate::store::Epoch;

/// How rows are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    format: Format,
    labels: &'a [String],
}

impl<'a> Rows<'a> {
    /// Rows with columns under these labels. An object has a name once, so two of one name are refused for NDJSON.
    pub(super) fn new(format: Format, labels: &'a [String]) -> Result<Rows<'a>, Problem> {
        let twice = labels.iter().enumerate().find(|(at, label)| labels[..*at].contains(label));
        match twice.filter(|_| format == Format::Ndjson) {
            None => Ok(Rows { format, labels }),
            Some((_, label)) => {
                let detail = format!("two columns of the answer are called \"{label}\"");
                Err(Problem::new(StatusCode::BAD_REQUEST, "42701", detail).hint("name one of them with AS"))
            }
        }
    }

    /// What stands in front of the first row.
    pub(super) fn open(self, types: impl Iterator<Item = String>, out: &mut Vec<u8>) {
        if self.format.is_lines() {
            return self.format.open(self.labels.iter().map(String::as_str), out);
        }
        out.extend_from_slice(b"{\"columns\":[");
        for (at, (name, data_type)) in self.labels.iter().zip(types).enumerate() {
            out.extend_from_slice(if at == 0 { b"{\"name\":" } else { b",{\"name\":" });
            json::write_text(name, out);
            out.extend_from_slice(b",\"type\":");
            json::write_text(&data_type, out);
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"rows\":[");
    }

    /// Appends a row whose cell of a column `cell` appends as JSON.
    pub(super) fn row<E>(
        self,
        is_first: bool,
        out: &mut Vec<u8>,
        mut cell: impl FnMut(usize, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.format.is_lines() {
            return self.format.row(is_first, self.labels.len(), out, |at, is_label, out| {
                if is_label {
                    write_label(&self.labels[at], out);
                    return Ok(());
                }
                cell(at, out)
            });
        }
        out.extend_from_slice(if is_first { b"[" } else { b",[" });
        for at in 0..self.labels.len() {
            if at > 0 {
                out.push(b',');
            }
            cell(at, out)?;
        }
        out.push(b']');
        Ok(())
    }

    /// What stands behind the last row; the epoch is the value of `Vantage-Epoch`.
    pub(super) fn close(self, epoch: &Epoch, out: &mut Vec<u8>) {
        if !self.format.is_lines() {
            let end = format!("],\"epoch\":\"{}-{}\"}}", epoch.incarnation(), epoch.number());
            out.extend_from_slice(end.as_bytes());
        }
    }
}
