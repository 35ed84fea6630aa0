//! The engine without threads: copies that are begun again, recovery, and what may not be read yet.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use super::memory::Memory;
use super::outline::outline;
use super::registry::{Registry, drop_state};
use super::run::plan_views;
use super::{Core, EngineError, View, recover};
use crate::catalog::{Catalog, File, read_files};
use crate::change::{
    Batch, Column, DataType, Datum, Event, KeyColumn, Phase, Position, Row, RowBuilder, Schema, TableId,
};
use crate::plan::Graph;
use crate::source::connect;
use crate::store::{Board, KeyRange, RelationState, Store, StoreOptions};

const ITEMS: TableId = TableId(0);
const TAGS: TableId = TableId(1);
const COLOURS: &str = "CREATE MATERIALIZED VIEW colours AS SELECT a, count(*) AS items FROM items GROUP BY a;";

/// Two tables of one source, (id, a) each, and these views.
fn planned(views: &str) -> (Arc<Catalog>, Arc<Graph>) {
    let text = "CREATE SOURCE shop WITH (connector = 'sqlite', path = 'unused.db');
                CREATE TABLE items FROM shop TABLE 'items';
                CREATE TABLE tags FROM shop TABLE 'tags';";
    let files = vec![File { path: "views/shop.sql".into(), text: format!("{text}\n{views}") }];
    let catalog = read_files(files, Vec::new()).unwrap_or_else(|(_, problems)| panic!("{problems:?}"));
    let schemas = vec![schema(); 2];
    let graph = plan_views(&catalog, &schemas).unwrap();
    (Arc::new(catalog), Arc::new(graph))
}

fn schema() -> Schema {
    let id = Column { nullable: false, ..Column::new("id", DataType::Int64) };
    let columns = vec![id, Column::new("a", DataType::Int64)];
    Schema { columns: columns.into(), visible: 2, key: vec![KeyColumn::ascending(0)].into() }
}

fn open(data: &Path, views: &str) -> Core {
    let (catalog, graph) = planned(views);
    let board = Arc::new(Board::new(vec!["shop".into()]));
    let mut core = Core::open(catalog, graph, data, StoreOptions::default(), board).unwrap();
    core.load().unwrap();
    core
}

fn upsert(table: TableId, id: i64, a: i64) -> Event {
    let cells = [Datum::Int(id), Datum::Int(a)];
    let mut key = Vec::new();
    schema().encode_key(|it| cells[it], &mut key);
    let mut builder = RowBuilder::new();
    cells.iter().for_each(|it| builder.push(*it, DataType::Int64));
    Event::row(table, builder.finish(&key))
}

fn delete(table: TableId, id: i64) -> Event {
    let mut key = Vec::new();
    schema().encode_key(|_| Datum::Int(id), &mut key);
    Event::gone(table, &key)
}

fn apply(core: &mut Core, phase: Phase, events: Vec<Event>) {
    stream(core, 1, &[ITEMS, TAGS], phase, events);
}

/// A batch up to a position that covers these tables.
fn stream(core: &mut Core, id: u64, covers: &[TableId], phase: Phase, events: Vec<Event>) {
    let position = Position::whole("log", id, &[]);
    core.apply(vec![Batch { source: 0, events, position, phase, covers: covers.into(), seen_at: Instant::now() }])
        .unwrap();
}

/// The first two columns of all rows of a table or view, by key.
fn rows(core: &Core, name: &str) -> Vec<(i64, i64)> {
    let relations = core.board().relations();
    let (relation, _) = relations.iter().find(|(it, _)| it.name == name).unwrap();
    let rows = core.board().epoch().scan(relation.id, &KeyRange::all(), false, usize::MAX).unwrap();
    let cell = |row: &Row, at: usize| match row.get(at, DataType::Int64) {
        Datum::Int(it) => it,
        other => panic!("{other:?}"),
    };
    rows.iter().map(|it| (cell(it, 0), cell(it, 1))).collect()
}

fn both() -> Phase {
    Phase::SnapshotStart(vec![ITEMS, TAGS])
}

#[test]
fn a_first_copy_begun_again_leaves_no_row_of_the_first_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(directory.path(), COLOURS);
    apply(&mut core, both(), vec![upsert(ITEMS, 1, 7), upsert(ITEMS, 2, 7)]);
    apply(&mut core, Phase::Snapshot, vec![upsert(TAGS, 1, 1)]);
    // The attempt was given up; meanwhile the owner deleted item 1 and tag 1.
    apply(&mut core, both(), vec![upsert(ITEMS, 2, 8)]);
    apply(&mut core, Phase::Snapshot, vec![upsert(ITEMS, 3, 7)]);
    apply(&mut core, Phase::Streaming, Vec::new());
    assert_eq!(rows(&core, "items"), [(2, 8), (3, 7)]);
    assert!(rows(&core, "tags").is_empty());
    assert_eq!(rows(&core, "colours"), [(7, 1), (8, 1)]);
}

#[test]
fn a_copy_of_one_table_goes_with_that_of_all() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(directory.path(), COLOURS);
    apply(&mut core, both(), vec![upsert(ITEMS, 1, 7), upsert(ITEMS, 2, 7), upsert(TAGS, 1, 1), upsert(TAGS, 2, 2)]);
    apply(&mut core, Phase::Streaming, Vec::new());
    // Both tables are copied again; item 1 and tag 1 are gone, item 2 has changed.
    apply(&mut core, both(), vec![upsert(ITEMS, 2, 8), upsert(TAGS, 2, 2), upsert(TAGS, 3, 3)]);
    // Before the end of it the tags are copied once more; tag 3 was there in between only.
    apply(&mut core, Phase::SnapshotStart(vec![TAGS]), vec![upsert(TAGS, 2, 5)]);
    assert_eq!(rows(&core, "items"), [(1, 7), (2, 7)], "nothing is shown before the end");
    apply(&mut core, Phase::Streaming, vec![delete(TAGS, 4), upsert(ITEMS, 5, 8)]);
    assert_eq!(rows(&core, "items"), [(2, 8), (5, 8)]);
    assert_eq!(rows(&core, "tags"), [(2, 5)]);
    assert_eq!(rows(&core, "colours"), [(8, 2)]);
}

#[test]
fn state_that_was_dropped_is_not_promised_whatever_comes_after() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(directory.path(), COLOURS);
    apply(&mut core, both(), vec![upsert(ITEMS, 1, 7)]);
    apply(&mut core, Phase::Streaming, Vec::new());
    core.close().unwrap();
    // Killed between the dropping of everything and the commit of the new registry.
    let (mut store, _) = Store::open(directory.path(), StoreOptions::default()).unwrap();
    let entries = Registry::read(&store).unwrap().entries;
    assert!(entries.len() >= 3, "{entries:?}");
    drop_state(&mut store, entries).unwrap();
    drop(store);
    let mut core = open(directory.path(), COLOURS);
    let relations = core.board().relations();
    let is_live = |it: &RwLock<RelationState>| *it.read().unwrap() == RelationState::Live;
    assert!(relations.iter().all(|(_, state)| !is_live(state)), "{relations:?}");
    assert!(!core.is_covered(ITEMS) && !core.is_covered(TAGS));
    apply(&mut core, both(), vec![upsert(ITEMS, 1, 8)]);
    apply(&mut core, Phase::Streaming, Vec::new());
    assert!(relations.iter().all(|(_, state)| is_live(state)), "{relations:?}");
    assert_eq!(rows(&core, "colours"), [(8, 1)]);
}

#[test]
fn tables_of_one_upstream_table_are_remembered_each_with_its_declaration() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let owner = rusqlite::Connection::open(&path).unwrap();
    owner.execute_batch("CREATE TABLE items (id INTEGER PRIMARY KEY, a INTEGER, b TEXT)").unwrap();
    drop(owner);
    let read = |declared: &str| {
        let text = format!(
            "CREATE SOURCE shop WITH (connector = 'sqlite', path = '{}');
             CREATE TABLE whole FROM shop TABLE 'items';
             CREATE TABLE part ({declared}) FROM shop TABLE 'items';",
            path.display()
        );
        read_files(vec![File { path: "views/shop.sql".into(), text }], Vec::new()).unwrap()
    };
    let catalog = read("id BIGINT PRIMARY KEY, b TEXT");
    let connect = |catalog: &Catalog| connect(catalog, directory.path()).unwrap();
    let sources = connect(&catalog);
    let described = outline(&catalog, &sources, &Memory::default(), |_| None);
    let mut memory = Memory::default();
    memory.learn(&described.catalog, &described.schemas);
    memory.write(&catalog, directory.path()).unwrap();
    let memory = Memory::read(directory.path());
    std::fs::remove_file(&path).unwrap();
    let remembered = outline(&catalog, &sources, &memory, |_| None);
    assert_eq!((remembered.schemas, remembered.unplanned), (described.schemas, Vec::new()));
    let other = read("id BIGINT PRIMARY KEY, a BIGINT");
    let partly = outline(&other, &connect(&other), &memory, |_| None);
    assert_eq!(partly.catalog.tables.iter().map(|it| &it.name[..]).collect::<Vec<_>>(), ["whole"]);
    let [missing] = &partly.unplanned[..] else { panic!("{:?}", partly.unplanned) };
    assert!(matches!(&missing.state, RelationState::Waiting { reason } if reason.contains("there is no file")));
}

const JOINED: &str = "CREATE MATERIALIZED VIEW colours AS SELECT a, count(*) AS items FROM items GROUP BY a;
    CREATE MATERIALIZED VIEW joined AS SELECT t.id, i.a FROM tags t JOIN items i ON i.id = t.a;
    CREATE INDEX joined_by ON joined (a);";

fn state(core: &Core, name: &str) -> RelationState {
    let relations = core.board().relations();
    relations.iter().find(|it| it.0.name == name).unwrap().1.read().unwrap().clone()
}

fn stands_at(core: &Core, name: &str) -> Option<u64> {
    match state(core, name) {
        RelationState::Live => None,
        RelationState::Stale { stands_at, .. } => Some(stands_at["shop"].only().at),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn what_a_position_does_not_cover_stands_until_it_is_copied() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(directory.path(), JOINED);
    let rows_of = |it: &[(i64, i64)]| it.iter().map(|it| upsert(ITEMS, it.0, it.1)).collect::<Vec<_>>();
    stream(&mut core, 1, &[], both(), rows_of(&[(1, 7), (2, 8)]));
    stream(&mut core, 2, &[ITEMS, TAGS], Phase::Streaming, vec![upsert(TAGS, 1, 1)]);
    assert_eq!(rows(&core, "joined"), [(1, 7)]);
    // The items are lost at position 2; the tags go on. What joins both is left as it was.
    stream(&mut core, 5, &[TAGS], Phase::Streaming, vec![upsert(TAGS, 2, 2), upsert(TAGS, 1, 2)]);
    for _ in 0..2 {
        assert_eq!([rows(&core, "joined"), rows(&core, "colours")], [vec![(1, 7)], vec![(7, 1), (8, 1)]]);
        assert_eq!(rows(&core, "tags"), [(1, 2), (2, 2)]);
        for (name, at) in [("items", Some(2)), ("colours", Some(2)), ("joined", Some(2)), ("tags", None)] {
            assert_eq!(stands_at(&core, name), at, "{name}");
        }
        assert!(!core.is_covered(ITEMS) && core.is_covered(TAGS));
        // The same after a restart.
        core.close().unwrap();
        core = open(directory.path(), JOINED);
    }
    stream(&mut core, 6, &[TAGS], Phase::Streaming, vec![upsert(TAGS, 3, 3)]);
    // A copy that is given up says nothing.
    stream(&mut core, 6, &[], Phase::SnapshotStart(vec![ITEMS]), rows_of(&[(9, 9)]));
    stream(&mut core, 7, &[TAGS], Phase::Streaming, vec![upsert(TAGS, 4, 2)]);
    assert_eq!((stands_at(&core, "items"), rows(&core, "items")), (Some(2), vec![(1, 7), (2, 8)]));
    stream(&mut core, 7, &[], Phase::SnapshotStart(vec![ITEMS]), rows_of(&[(2, 1), (3, 3)]));
    stream(&mut core, 8, &[ITEMS, TAGS], Phase::Streaming, vec![delete(TAGS, 1)]);
    for _ in 0..2 {
        assert_eq!([rows(&core, "items"), rows(&core, "colours")], [vec![(2, 1), (3, 3)], vec![(1, 1), (3, 1)]]);
        assert_eq!(rows(&core, "joined"), [(2, 1), (3, 3), (4, 1)]);
        for name in ["items", "colours", "joined", "tags"] {
            assert_eq!(stands_at(&core, name), None, "{name}");
        }
        core.close().unwrap();
        core = open(directory.path(), JOINED);
    }
    let view = View::find(core.board(), "joined").unwrap();
    let listing = view.listing("joined_by", &["id"]).unwrap();
    assert_eq!(listing.first(&listing.epoch(), &[Datum::Int(1)], 9).unwrap().len(), 2);
}

#[test]
#[should_panic(expected = "only behind a copy")]
fn no_table_is_covered_anew_without_a_copy() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(directory.path(), COLOURS);
    apply(&mut core, both(), vec![upsert(ITEMS, 1, 7)]);
    apply(&mut core, Phase::Streaming, Vec::new());
    stream(&mut core, 2, &[TAGS], Phase::Streaming, Vec::new());
    stream(&mut core, 3, &[ITEMS, TAGS], Phase::Streaming, Vec::new());
}

#[test]
fn another_plan_on_the_same_state_keeps_what_is_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(directory.path(), JOINED);
    apply(&mut core, both(), vec![upsert(ITEMS, 1, 7), upsert(TAGS, 1, 1)]);
    apply(&mut core, Phase::Streaming, Vec::new());
    let (kept, gone) = (View::find(core.board(), "joined").unwrap(), View::find(core.board(), "colours").unwrap());
    let (id, epochs) = (kept.relation().id, core.times().epochs);
    let views = &JOINED[JOINED.find("CREATE MATERIALIZED VIEW joined").unwrap()..];
    let (catalog, graph) = planned(&format!("{views} CREATE MATERIALIZED VIEW more AS SELECT id FROM tags;"));
    core = core.replan(catalog, graph).unwrap();
    assert!(kept.get(&[Datum::Int(1)]).unwrap().is_some(), "it is read throughout");
    assert!(matches!(gone.get(&[Datum::Int(7)]), Err(EngineError::Incomplete(_))));
    core.load().unwrap();
    assert_eq!(View::find(core.board(), "joined").unwrap().relation().id, id);
    // Two commits for the rows and the note of the new view, none for what is kept.
    assert!(core.times().epochs - epochs <= 2, "{} epochs", core.times().epochs - epochs);
    assert_eq!(rows(&core, "tags"), [(1, 1)]);
    apply(&mut core, Phase::Streaming, vec![upsert(ITEMS, 1, 9), upsert(TAGS, 2, 1)]);
    assert_eq!(rows(&core, "joined"), [(1, 9), (2, 9)]);
    assert_eq!(state(&core, "more"), RelationState::Live);
    assert!(kept.get(&[Datum::Int(2)]).unwrap().is_some());
}

#[test]
fn loading_and_building_end_when_told_to_stop() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(directory.path(), "");
    apply(&mut core, both(), (0..1000).map(|id| upsert(ITEMS, id, id % 3)).collect());
    apply(&mut core, Phase::Streaming, Vec::new());
    core.close().unwrap();
    let index = "CREATE INDEX by_a ON items (a);";
    for (views, is_built) in [("", true), (COLOURS, false), (index, false)] {
        let (catalog, graph) = planned(views);
        let board = Arc::new(Board::new(vec!["shop".into()]));
        let mut core = Core::open(catalog, graph, directory.path(), StoreOptions::default(), board).unwrap();
        if !is_built {
            recover::load(&mut core).unwrap();
        }
        core.stop.store(true, Ordering::Release);
        let stopped = if is_built { recover::load(&mut core) } else { core.build() };
        assert!(matches!(stopped, Err(EngineError::Stopped)), "{views}: {stopped:?}");
        core.close().unwrap();
    }
    let core = open(directory.path(), &format!("{COLOURS}{index}"));
    assert_eq!(rows(&core, "colours"), [(0, 334), (1, 333), (2, 333)]);
}

#[test]
fn what_is_being_built_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(directory.path(), &format!("{COLOURS}CREATE INDEX by_items ON colours (items);"));
    let view = View::find(core.board(), "colours").unwrap();
    let listing = view.listing("by_items", &["a"]).unwrap();
    apply(&mut core, both(), vec![upsert(ITEMS, 1, 7)]);
    for refused in [view.get(&[Datum::Int(7)]).map(drop), listing.first(&listing.epoch(), &[], 9).map(drop)] {
        assert!(matches!(&refused, Err(EngineError::Incomplete(it)) if it.contains("colours")), "{refused:?}");
    }
    apply(&mut core, Phase::Streaming, Vec::new());
    assert!(view.get(&[Datum::Int(7)]).unwrap().is_some());
    assert_eq!(listing.first(&listing.epoch(), &[Datum::Int(1)], 9).unwrap().len(), 1);
}

#[test]
fn what_is_to_be_copied_again_stays_so_until_its_copy_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(directory.path(), COLOURS);
    apply(&mut core, both(), vec![upsert(ITEMS, 1, 7), upsert(TAGS, 1, 1)]);
    apply(&mut core, Phase::Streaming, Vec::new());
    assert!(!core.needs_copy(ITEMS) && !core.needs_copy(TAGS));
    core.copy_again([ITEMS].into());
    // Before its source has begun somebody asks for another table, and the view files are read again.
    core.copy_again([TAGS].into());
    assert!(core.needs_copy(ITEMS) && core.needs_copy(TAGS));
    let (catalog, graph) = planned(COLOURS);
    let mut core = core.replan(catalog, graph).unwrap();
    core.load().unwrap();
    assert!(core.needs_copy(ITEMS) && core.needs_copy(TAGS));
    // A copy of one of them that is given up, because the sources begin anew, is made again.
    apply(&mut core, Phase::SnapshotStart(vec![ITEMS]), vec![upsert(ITEMS, 2, 7)]);
    core.copy_again(BTreeSet::new());
    assert!(core.needs_copy(ITEMS));
    apply(&mut core, Phase::SnapshotStart(vec![ITEMS]), vec![upsert(ITEMS, 3, 7)]);
    apply(&mut core, Phase::Streaming, Vec::new());
    assert!(!core.needs_copy(ITEMS) && core.needs_copy(TAGS));
    assert_eq!((rows(&core, "items"), rows(&core, "tags")), (vec![(3, 7)], vec![(1, 1)]));
}
