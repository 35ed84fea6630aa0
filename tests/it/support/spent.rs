//! What this process has spent: processor time by thread, and memory.

use std::collections::BTreeMap;
use std::time::Duration;

/// Processor time by the names of threads.
pub(crate) fn cpu() -> BTreeMap<String, Duration> {
    let mut times = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").expect("readable").flatten() {
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
        let (name, rest) = stat.split_once('(').and_then(|it| it.1.rsplit_once(')')).expect("a name in parentheses");
        let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum();
        *times.entry(name.to_string()).or_default() += Duration::from_millis(10 * ticks);
    }
    times
}

/// The memory that is resident now, and the most that was since [`forget_peak`], in MiB.
pub(crate) fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of the status");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// From now on the peak is counted anew.
pub(crate) fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("our own file");
}
