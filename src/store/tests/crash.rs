//! Processes that are killed, and machines that stop: nothing that was committed is lost, or it is said.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::directory::LastUse;
use super::model::{Model, commit_of};
use super::{lazy, small};
use crate::store::{Store, StoreOptions};

const CHILD_DIR: &str = "VANTAGE_TEST_CRASH_DIR";
const CHILD_SEED: &str = "VANTAGE_TEST_CRASH_SEED";

/// The files as they are now. RocksDB deletes those it no longer needs on a thread of its own; a copy in which one
/// vanished halfway is no image of one moment, so it is made again.
fn image_of(from: &Path) -> tempfile::TempDir {
    loop {
        let image = tempfile::tempdir().expect("a directory");
        match copy(from, image.path()) {
            Ok(()) => return image,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}"),
        }
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[test]
fn what_was_committed_is_in_the_files_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut rng = SmallRng::seed_from_u64(1);
    let (mut store, _) = Store::open(dir.path(), lazy()).expect("opens");
    for number in 1..=60 {
        store.commit(commit_of(9, number)).expect("commits");
        if number % 25 == 0 {
            store.checkpoint_now().expect("checkpoints");
        }
        if number % 7 == 0 {
            let image = image_of(dir.path());
            let (copied, epoch) = Store::open(image.path(), lazy()).expect("opens the copy");
            assert_eq!(epoch.incarnation(), store.epoch().incarnation());
            let model = Model::after(9, number);
            model.check(&epoch, &mut rng);
            model.check_store(&copied);
        }
    }
}

/// Not a test by itself: what the next test starts as a process of its own, to kill it.
#[test]
fn child_that_commits_until_it_is_killed() {
    let (Ok(dir), Ok(seed)) = (std::env::var(CHILD_DIR), std::env::var(CHILD_SEED)) else { return };
    let seed = seed.parse().expect("a number");
    let (mut store, epoch) = Store::open(Path::new(&dir), small()).expect("opens");
    println!("\nstarted");
    for number in epoch.number() + 1.. {
        let epoch = store.commit(commit_of(seed, number)).expect("commits");
        println!("\ncommitted {}", epoch.number());
    }
}

#[test]
fn a_killed_process_loses_nothing() {
    let seed = rand::rng().random_range(0..1_000_000);
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("a directory");
    let mut newest = 0;
    for kill in 0..12 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "store::tests::crash::child_that_commits_until_it_is_killed", "--nocapture"])
            .env(CHILD_DIR, dir.path())
            .env(CHILD_SEED, seed.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let wanted = rng.random_range(0..120);
        let mut seen = 0;
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        for line in lines {
            let line = line.expect("a line");
            if let Some(number) = line.strip_prefix("committed ") {
                newest = number.parse().expect("a number");
                seen += 1;
            }
            if seen >= wanted && (seen > 0 || line == "started") {
                child.kill().expect("kills");
            }
        }
        child.wait().expect("ends");
        let (store, epoch) = Store::open(dir.path(), small()).expect("opens after the kill");
        assert!(epoch.number() >= newest, "kill {kill}: epoch {} is back, {newest} was seen", epoch.number());
        assert_eq!(epoch.incarnation(), 1, "kill {kill}");
        let model = Model::after(seed, epoch.number());
        model.check(&epoch, &mut rng);
        model.check_store(&store);
    }
    assert!(newest > 0);
}

pub(super) fn rewrite(dir: &Path, change: impl FnOnce(&mut LastUse)) {
    let file = dir.join("vantage.json");
    let mut last_use: LastUse = serde_json::from_slice(&std::fs::read(&file).expect("reads")).expect("parses");
    change(&mut last_use);
    std::fs::write(&file, serde_json::to_vec(&last_use).expect("writes")).expect("writes");
}

#[test]
fn the_incarnation_grows_when_epochs_may_be_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = || Store::open(dir.path(), lazy()).expect("opens").0;
    let mut store = open();
    assert_eq!(store.epoch().incarnation(), 1);
    store.commit(commit_of(1, 1)).expect("commits");
    drop(store);
    assert_eq!(open().epoch().incarnation(), 1, "killed within one boot");
    rewrite(dir.path(), |it| it.boot = Some("an earlier boot".to_owned()));
    assert_eq!(open().epoch().incarnation(), 2, "the machine stopped");
    open().close().expect("closes");
    rewrite(dir.path(), |it| it.boot = Some("an earlier boot".to_owned()));
    assert_eq!(open().epoch().incarnation(), 2, "closed before the machine stopped");
    std::fs::write(dir.path().join("DURABLE"), [2u64.to_le_bytes(), 99u64.to_le_bytes()].concat()).expect("writes");
    assert_eq!(open().epoch().incarnation(), 3, "an fsynced epoch is missing");
    let mut store = open();
    assert_eq!(store.epoch().incarnation(), 3);
    store.checkpoint_now().expect("checkpoints");
    drop(store);
    std::fs::remove_file(dir.path().join("vantage.json")).expect("removes");
    assert_eq!(open().epoch().incarnation(), 4, "nobody knows how the last use ended");
}

#[test]
fn a_directory_in_the_place_of_another_begins_with_a_greater_incarnation() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let open = |first| Store::open(&data, StoreOptions { first_incarnation: first, ..lazy() }).expect("opens").0;
    assert_eq!(open(1000).epoch().incarnation(), 1000);
    assert_eq!(open(2000).epoch().incarnation(), 1000, "the same directory");
    std::fs::remove_dir_all(&data).expect("removes");
    assert_eq!(open(2000).epoch().incarnation(), 2000, "another directory");
}

#[test]
fn another_thread_may_sync() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, _) = Store::open(dir.path(), lazy()).expect("opens");
    let syncer = store.syncer();
    let thread = std::thread::spawn(move || (0..20).map(|_| syncer.sync().expect("syncs")).collect::<Vec<_>>());
    for number in 1..=100 {
        store.commit(commit_of(3, number)).expect("commits");
    }
    let seen = thread.join().expect("ends");
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(store.sync().expect("syncs"), 100);
    assert_eq!(store.stats().durable_epoch, 100);
}
