//! Damage and strangers: everything that should not be opened or served is refused by name.

use std::path::Path;

use super::super::log::FRAME;
use super::super::{Commit, KeyRange, Store, StoreError};
use super::crash::rewrite;
use super::model::commit_of;
use super::{commit_rows, lazy, row, small};
use crate::change::RelationId;

fn filled(dir: &Path) {
    let (mut store, _) = Store::open(dir, lazy()).expect("opens");
    for number in 1..=5 {
        store.commit(commit_of(1, number)).expect("commits");
    }
}

fn refusal(dir: &Path) -> StoreError {
    Store::open(dir, lazy()).map(|_| ()).expect_err("must not open")
}

/// Changes the journal's only file, entry by entry.
fn with_journal(dir: &Path, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let file = dir.join("journal/00000000000000000001.log");
    let bytes = std::fs::read(&file).expect("reads");
    let (mut entries, mut rest) = (Vec::new(), &bytes[..]);
    while let Some((length, _)) = rest.split_first_chunk::<4>() {
        let (entry, behind) = rest.split_at(FRAME + u32::from_le_bytes(*length) as usize);
        entries.push(entry.to_vec());
        rest = behind;
    }
    change(&mut entries);
    std::fs::write(&file, entries.concat()).expect("writes");
}

fn damage_third(entries: &mut [Vec<u8>]) {
    *entries[2].last_mut().expect("a byte") ^= 1;
}

#[test]
fn a_second_process_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_store, _) = Store::open(dir.path(), lazy()).expect("opens");
    let message = refusal(dir.path()).to_string();
    let (path, pid) = (dir.path().display(), std::process::id());
    assert_eq!(message, format!("the data directory {path} is in use by another vantage process (pid {pid})"));
}

#[test]
fn another_format_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    filled(dir.path());
    std::fs::write(dir.path().join("vantage.json"), br#"{"format": 4, "shape": "unknown"}"#).expect("writes");
    let message = refusal(dir.path()).to_string();
    assert!(message.contains("has format 4, newer than the format 3"), "{message}");
    std::fs::write(dir.path().join("vantage.json"), br#"{"format": 2, "shape": "unknown"}"#).expect("writes");
    let message = refusal(dir.path()).to_string();
    assert!(message.contains("has format 2, and") && message.contains("remove the directory"), "{message}");
    std::fs::write(dir.path().join("vantage.json"), b"{").expect("writes");
    assert!(matches!(refusal(dir.path()), StoreError::Corrupt(_)));
}

#[test]
fn a_damaged_journal_entry_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    filled(dir.path());
    with_journal(dir.path(), |entries| damage_third(entries));
    let error = refusal(dir.path());
    assert!(matches!(error, StoreError::Corrupt(_)));
    assert_eq!(error.to_string(), "the store is corrupt: the journal entry behind epoch 2 does not match its checksum");
}

#[test]
fn a_gap_in_the_journal_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    filled(dir.path());
    with_journal(dir.path(), |entries| drop(entries.remove(2)));
    assert_eq!(refusal(dir.path()).to_string(), "the store is corrupt: the journal goes from epoch 2 to epoch 4");
}

/// What a power loss may do to the end of the journal: everything behind what was fsynced is gone, and said to be.
#[test]
fn damage_behind_what_was_fsynced_is_forgotten_after_a_power_loss() {
    for (durable, forgotten) in [(1, true), (2, true), (3, false), (5, false)] {
        let dir = tempfile::tempdir().expect("a directory");
        filled(dir.path());
        with_journal(dir.path(), |entries| damage_third(entries));
        let noted = [1u64.to_le_bytes(), u64::to_le_bytes(durable)].concat();
        std::fs::write(dir.path().join("DURABLE"), noted).expect("writes");
        rewrite(dir.path(), |it| it.boot = Some("an earlier boot".to_owned()));
        if !forgotten {
            assert!(matches!(refusal(dir.path()), StoreError::Corrupt(_)), "{durable} epochs were fsynced");
            continue;
        }
        let (mut store, epoch) = Store::open(dir.path(), lazy()).expect("opens");
        assert_eq!((epoch.number(), epoch.incarnation()), (2, 2));
        store.commit(commit_of(1, 3)).expect("commits");
        drop((store, epoch));
        assert_eq!(Store::open(dir.path(), lazy()).expect("opens again").1.number(), 3);
    }
}

#[test]
fn a_missing_database_is_not_made_anew() {
    for part in ["rocksdb", "journal"] {
        let dir = tempfile::tempdir().expect("a directory");
        filled(dir.path());
        std::fs::remove_dir_all(dir.path().join(part)).expect("removes");
        let message = refusal(dir.path()).to_string();
        assert!(message.contains("is missing or incomplete"), "{message}");
    }
}

#[test]
fn a_damaged_block_is_never_served() {
    let dir = tempfile::tempdir().expect("a directory");
    let keys: Vec<Vec<u8>> = (0..20_000u32).map(|key| key.to_be_bytes().to_vec()).collect();
    let (mut store, _) = Store::open(dir.path(), lazy()).expect("opens");
    let rows = keys.iter().enumerate().map(|(value, key)| (RelationId(1), row(key, value as i64)));
    store.commit(commit_rows(rows.collect())).expect("commits");
    store.close().expect("closes");
    let files = std::fs::read_dir(dir.path().join("rocksdb")).expect("lists").map(|it| it.expect("an entry").path());
    let largest = files
        .filter(|it| it.extension().is_some_and(|it| it == "sst"))
        .max_by_key(|it| it.metadata().expect("its size").len())
        .expect("a file of rows");
    let mut bytes = std::fs::read(&largest).expect("reads");
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x10;
    std::fs::write(&largest, bytes).expect("writes");
    let (_store, epoch) = Store::open(dir.path(), lazy()).expect("opens");
    let mut refused = 0;
    for (value, key) in keys.iter().enumerate() {
        match epoch.get(RelationId(1), key) {
            Ok(found) => assert_eq!(found, Some(row(key, value as i64))),
            Err(error) => {
                assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
                refused += 1;
            }
        }
    }
    assert!((1..keys.len()).contains(&refused), "{refused} refused");
    assert!(matches!(epoch.scan(RelationId(1), &KeyRange::all(), false, usize::MAX), Err(StoreError::Corrupt(_))));
    assert!(matches!(epoch.get_many(RelationId(1), &keys), Err(StoreError::Corrupt(_))));
}

/// Runs where VANTAGE_TEST_SMALL_DISK names a directory on a file system of about 64 MB: filling it refuses commits
/// without losing any, and they are taken again once there is space.
#[test]
fn a_full_disk_refuses_and_recovers() {
    let Ok(disk) = std::env::var("VANTAGE_TEST_SMALL_DISK") else { return };
    let dir = Path::new(&disk).join("data");
    let (mut store, _) = Store::open(&dir, small()).expect("opens");
    let commit = |number: u64| {
        let keys = (0..1000u64).map(|key| (number * 1000 + key).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let rows = keys.map(|key| (RelationId(1), row(&key.to_be_bytes(), key as i64)));
        Commit { rows: rows.collect(), ..Commit::default() }
    };
    let ballast = Path::new(&disk).join("ballast");
    std::fs::write(&ballast, vec![1; 40 << 20]).expect("writes");
    let mut number = store.epoch().number() + 1;
    let error = loop {
        match store.commit(commit(number)) {
            Ok(epoch) => number = epoch.number() + 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    assert_eq!(store.epoch().number() + 1, number);
    std::fs::remove_file(&ballast).expect("removes");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        match store.commit(commit(number)) {
            Ok(epoch) => break assert_eq!(epoch.number(), number),
            Err(StoreError::Full(_)) if std::time::Instant::now() < deadline => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    drop(store);
    let (_store, epoch) = Store::open(&dir, lazy()).expect("opens");
    assert_eq!(epoch.number(), number);
    for (_, row) in (1..=number).flat_map(|number| commit(number).rows) {
        assert_eq!(epoch.get(RelationId(1), row.key()).expect("reads"), Some(row));
    }
}
