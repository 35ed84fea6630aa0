//! What the engine does in a CPU-second: loading a shop, and changes through `product_card` in steps of several sizes.
//!
//! The only view is the product_card that is shipped; the engine's own step path runs, with journal, fsync and checkpoints on a real directory; there are no sources and
//! no readers. The changes are generated before the clock starts. CPU time is the whole process's, so it includes the
//! threads that checkpoint and compact.

mod changes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use changes::{Change, DECLARATIONS, Decoder, Generator, ROWS_PER_PRODUCT, schemas};
use clap::Parser;
use serde::Serialize;
use vantage::change::Datum;
use vantage::demo::files::view_file;
use vantage::demo::latency::{Latencies, Quantiles};
use vantage::engine::{Core, EngineOptions, plan_views};
use vantage::store::{Board, KeyRange, StoreOptions};

#[global_allocator]
static ALLOCATOR: metered::Metered<mimalloc::MiMalloc> = metered::Metered::new(mimalloc::MiMalloc);

/// Rows in one batch of a snapshot.
const SNAPSHOT_ROWS: usize = 10_000;

/// Keyed reads and scans measured.
const READS: u64 = 200_000;
const SCANS: u64 = 20_000;

/// Changes of one row each that are in the journal only when the state is opened again.
const REDONE_CHANGES: usize = 80_000;

/// Between two fsyncs of the journal, as the running engine does it.
const SYNC_INTERVAL: Duration = Duration::from_millis(100);

/// What the engine does in a CPU-second.
#[derive(Debug, Parser)]
struct Options {
    /// Sizes of the shop, in products
    #[arg(long, value_delimiter = ',', default_value = "200000")]
    products: Vec<u64>,
    /// Changes in one step
    #[arg(long, value_delimiter = ',', default_value = "1,10,1000,10000")]
    steps: Vec<usize>,
    /// Changes measured for each step size; for steps of one, a tenth
    #[arg(long, default_value_t = 1_000_000)]
    changes: usize,
    /// Popular products change more often; otherwise all alike, which is the harder case
    #[arg(long)]
    skewed: bool,
    /// Steps a second instead of as many as possible, with fsyncs on a thread of their own as in the running engine
    #[arg(long)]
    rate: Option<u32>,
    /// Where the state lies; a temporary directory unless given
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Where the figures go as JSON
    #[arg(long, default_value = "engine.json")]
    json: PathBuf,
    /// Ignored: cargo passes it
    #[arg(long, hide = true)]
    bench: bool,
}

/// Where time went, in seconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Spent {
    wall: f64,
    cpu: f64,
    decode: f64,
    dataflow: f64,
    journal: f64,
    publish: f64,
    fsync: f64,
    checkpoint: f64,
}

/// One measured figure.
#[derive(Debug, Clone, Serialize)]
struct Figure {
    products: u64,
    /// `None`: the load.
    step: Option<usize>,
    /// Rows loaded or changes made.
    rows: u64,
    per_second: f64,
    per_cpu_second: f64,
    /// From a step's events to its published epoch.
    publish_times: Option<Quantiles>,
    spent: Spent,
    resident_mb: f64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let mut figures = Vec::new();
    for &products in &options.products {
        let temporary = tempfile::tempdir()?;
        let directory = options.directory.as_deref().unwrap_or(temporary.path());
        let mut bench = Bench::open(directory, products, options.skewed)?;
        bench.rate = options.rate;
        print_head(products, options.skewed);
        figures.push(report(bench.load()?));
        for &step in &options.steps {
            let count = if step == 1 { options.changes / 10 } else { options.changes };
            figures.push(report(bench.run(step, count.max(step))?));
        }
        bench.verify()?;
        bench.read()?;
        bench.reopen(directory)?;
    }
    std::fs::write(&options.json, serde_json::to_string_pretty(&figures)?)
        .with_context(|| format!("cannot write {}", options.json.display()))?;
    println!("figures: {}", options.json.display());
    Ok(())
}

struct Bench {
    products: u64,
    core: Core,
    generator: Generator,
    decoder: Decoder,
    skewed: bool,
    rate: Option<u32>,
    /// From the start of opening to the first epoch readers see.
    published: Duration,
    spent: Spent,
    synced: Instant,
}

impl Bench {
    fn open(directory: &Path, products: u64, skewed: bool) -> Result<Bench> {
        let begin = Instant::now();
        let (views, data) = (directory.join("views"), directory.join("data"));
        std::fs::create_dir_all(&views)?;
        std::fs::write(views.join("tables.sql"), DECLARATIONS)?;
        let card = view_file("product_card.sql").context("product_card.sql is not among the demo's files")?;
        std::fs::write(views.join("product_card.sql"), card)?;
        let (catalog, _) = EngineOptions::new(&views, &data).read_catalog()?;
        let catalog = Arc::new(catalog);
        let schemas = schemas(&catalog).context("a table of the shop has no schema here")?;
        let graph = Arc::new(plan_views(&catalog, &schemas)?);
        let decoder = Decoder::new(&catalog, &schemas).context("a table of the shop is not declared")?;
        let board = Arc::new(Board::new(catalog.sources.iter().map(|source| source.name.clone()).collect()));
        let mut core = Core::open(catalog, graph, &data, StoreOptions::default(), board)?;
        let published = begin.elapsed();
        core.load()?;
        let generator = Generator::new(products, skewed);
        let (spent, synced) = (Spent::default(), Instant::now());
        Ok(Bench { products, core, generator, decoder, skewed, rate: None, published, spent, synced })
    }

    /// Loads the shop: snapshots of the four sources, and the view built from them.
    fn load(&mut self) -> Result<Figure> {
        let sources = self.generator.rows();
        let rows: usize = sources.iter().map(Vec::len).sum();
        let before = self.begin()?;
        for source in &sources {
            // Batches are decoded one by one, so that the snapshot is never in memory twice.
            let begin = Instant::now();
            let mut batches = self.decoder.snapshot(source, SNAPSHOT_ROWS);
            let mut next = batches.next();
            self.spent.decode += begin.elapsed().as_secs_f64();
            while let Some(batch) = next {
                self.core.apply(vec![batch])?;
                let begin = Instant::now();
                next = batches.next();
                self.spent.decode += begin.elapsed().as_secs_f64();
            }
        }
        drop(sources);
        self.finish(before, None, rows, None)
    }

    /// `count` changes in steps of `step`.
    fn run(&mut self, step: usize, count: usize) -> Result<Figure> {
        let changes = self.generator.changes(count);
        let before = self.begin()?;
        let mut times = Latencies::new();
        let (syncer, started) = (self.core.syncer(), Instant::now());
        let (requests, due) = std::sync::mpsc::sync_channel::<()>(1);
        let syncing = std::thread::spawn(move || due.into_iter().try_for_each(|()| syncer.sync().map(drop)));
        for (nth, changes) in changes.chunks(step).enumerate() {
            if let Some(rate) = self.rate {
                let until = Duration::from_secs(1) * nth as u32 / rate;
                std::thread::sleep(until.saturating_sub(started.elapsed()));
            }
            let begin = Instant::now();
            let batches = self.decoder.stream(changes);
            self.spent.decode += begin.elapsed().as_secs_f64();
            self.core.apply(batches)?;
            times.push(begin.elapsed());
            if self.synced.elapsed() >= SYNC_INTERVAL {
                match self.rate {
                    // One that is still under way covers less, but the next one covers this one too.
                    Some(_) => drop(requests.try_send(())),
                    None => self.sync()?,
                }
                self.synced = Instant::now();
            }
        }
        drop(requests);
        syncing.join().map_err(|_| anyhow!("the syncing thread panicked"))??;
        self.finish(before, Some(step), count, Some(times))
    }

    fn sync(&mut self) -> Result<()> {
        let begin = Instant::now();
        self.core.sync()?;
        self.spent.fsync += begin.elapsed().as_secs_f64();
        self.synced = Instant::now();
        Ok(())
    }

    fn begin(&mut self) -> Result<Spent> {
        self.spent = Spent::default();
        self.total()
    }

    /// What was spent since the process started, except what is kept in `self.spent` itself.
    fn total(&self) -> Result<Spent> {
        let (times, store) = (self.core.times(), self.core.store_stats());
        Ok(Spent {
            wall: started().elapsed().as_secs_f64(),
            cpu: cpu_seconds()?,
            dataflow: times.dataflow.as_secs_f64(),
            journal: store.journal_seconds,
            publish: store.publish_seconds,
            checkpoint: store.checkpoint_seconds,
            ..Spent::default()
        })
    }

    /// The figure of what was done since `before`; everything is durable by then.
    fn finish(&mut self, before: Spent, step: Option<usize>, rows: usize, times: Option<Latencies>) -> Result<Figure> {
        self.sync()?;
        let after = self.total()?;
        let spent = Spent {
            wall: after.wall - before.wall,
            cpu: after.cpu - before.cpu,
            dataflow: after.dataflow - before.dataflow,
            journal: after.journal - before.journal,
            publish: after.publish - before.publish,
            checkpoint: after.checkpoint - before.checkpoint,
            ..self.spent
        };
        Ok(Figure {
            products: self.products,
            step,
            rows: rows as u64,
            per_second: rows as f64 / spent.wall,
            per_cpu_second: rows as f64 / spent.cpu,
            publish_times: times.and_then(Latencies::quantiles),
            spent,
            resident_mb: resident_mb()?,
        })
    }

    /// What a keyed read and a scan of twenty cards cost in-process.
    fn read(&self) -> Result<()> {
        let relations = self.core.board().relations();
        let (card, _) = relations.iter().find(|(it, _)| it.name == "product_card").context("no product_card")?;
        let epoch = self.core.board().epoch();
        let keys = |count: u64| {
            // A stride without a common divisor visits products in no order a cache could guess.
            (0..count).map(|nth| {
                let mut key = Vec::new();
                card.schema.encode_key(|_| Datum::Int((1 + nth * 7_368_787 % self.products) as i64), &mut key);
                key
            })
        };
        let (gets, scans): (Vec<_>, Vec<_>) = (keys(READS).collect(), keys(SCANS).collect());
        for round in ["first", "again"] {
            let begin = Instant::now();
            for key in &gets {
                ensure!(epoch.get(card.id, key)?.is_some(), "a card is missing");
            }
            let get = begin.elapsed().as_secs_f64() * 1e6 / READS as f64;
            let begin = Instant::now();
            for key in &scans {
                let range = KeyRange { start: std::ops::Bound::Included(key.clone()), ..KeyRange::all() };
                ensure!(!epoch.scan(card.id, &range, false, 20)?.is_empty(), "a card is missing");
            }
            let scan = begin.elapsed().as_secs_f64() * 1e6 / SCANS as f64;
            println!("reads in-process, {round}: {get:.2} µs by key, {scan:.1} µs a scan of 20");
        }
        Ok(())
    }

    /// How long it takes to open the state again: after a kill with changes in the journal, and after that.
    fn reopen(mut self, directory: &Path) -> Result<()> {
        self.run(1, REDONE_CHANGES)?;
        let skewed = self.skewed;
        let products = self.products;
        drop(self);
        for _ in 0..2 {
            let begin = Instant::now();
            let bench = Bench::open(directory, products, skewed)?;
            let total = begin.elapsed();
            println!(
                "opened again: {} rows redone, published after {:.0} ms, ready for changes after {:.0} ms",
                bench.core.store_stats().redone_rows,
                bench.published.as_secs_f64() * 1e3,
                total.as_secs_f64() * 1e3,
            );
            bench.core.close()?;
        }
        Ok(())
    }

    /// The last price of some products, as the view has them: what was measured was also right.
    fn verify(&mut self) -> Result<()> {
        let changes = self.generator.changes(1000);
        self.core.apply(self.decoder.stream(&changes))?;
        let relations = self.core.board().relations();
        let (card, _) = relations.iter().find(|(it, _)| it.name == "product_card").context("no product_card")?;
        let column = card.schema.index_of("price_cents").context("no column price_cents")?;
        let epoch = self.core.board().epoch();
        let mut prices = std::collections::HashMap::new();
        for change in &changes {
            if let Change::Price { product, cents, .. } = change {
                prices.insert(*product, *cents);
            }
        }
        for (product, cents) in prices {
            let mut key = Vec::new();
            card.schema.encode_key(|_| Datum::Int(product), &mut key);
            let row = epoch.get(card.id, &key)?.ok_or_else(|| anyhow!("no card of product {product}"))?;
            let shown = row.get(column, card.schema.data_type(column));
            ensure!(shown == Datum::Int(cents), "product {product} costs {cents} and its card says {shown:?}");
        }
        let rows = count_rows(&epoch, card.id)?;
        ensure!(rows == self.products, "{} products and {rows} cards", self.products);
        Ok(())
    }
}

fn count_rows(epoch: &vantage::store::Epoch, relation: vantage::change::RelationId) -> Result<u64> {
    let (mut range, mut count) = (KeyRange::all(), 0);
    loop {
        let rows = epoch.scan(relation, &range, false, 10_000)?;
        count += rows.len() as u64;
        let Some(last) = rows.last() else { return Ok(count) };
        range.start = std::ops::Bound::Excluded(last.key().to_vec());
    }
}

fn print_head(products: u64, skewed: bool) {
    let rows = products * ROWS_PER_PRODUCT;
    let which = if skewed { "popular products change more often" } else { "all products change alike" };
    println!("\n{products} products, {rows} rows, one view: product_card; {which}; µs a row or change");
    println!(
        "{:<16}{:>12}{:>14}{:>8}{:>8}{:>9}{:>9}{:>9}{:>7}{:>11}{:>10}{:>10}{:>10}{:>9}",
        "",
        "per second",
        "per CPU-s",
        "CPU",
        "decode",
        "dataflow",
        "journal",
        "publish",
        "fsync",
        "checkpoint",
        "step p50",
        "step p99",
        "worst",
        "RSS"
    );
}

fn report(figure: Figure) -> Figure {
    let label = figure.step.map_or("load".to_owned(), |step| format!("steps of {step}"));
    let each = |seconds: f64| format!("{:.2}", seconds * 1e6 / figure.rows as f64);
    let spent = figure.spent;
    let time = |pick: fn(&Quantiles) -> f64| {
        figure.publish_times.as_ref().map_or(String::new(), |times| Quantiles::readable(pick(times)))
    };
    println!(
        "{label:<16}{:>12.0}{:>14.0}{:>8}{:>8}{:>9}{:>9}{:>9}{:>7}{:>11}{:>10}{:>10}{:>10}{:>6.0} MB",
        figure.per_second,
        figure.per_cpu_second,
        each(spent.cpu),
        each(spent.decode),
        each(spent.dataflow),
        each(spent.journal),
        each(spent.publish),
        each(spent.fsync),
        each(spent.checkpoint),
        time(|it| it.p50_us),
        time(|it| it.p99_us),
        time(|it| it.max_us),
        figure.resident_mb,
    );
    figure
}

fn started() -> Instant {
    static STARTED: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *STARTED.get_or_init(Instant::now)
}

/// User and system time of all threads of the process, also of those that ended.
fn cpu_seconds() -> Result<f64> {
    /// Linux reports times to user space in hundredths of a second on every architecture we build for.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold anything; the fields behind it are separated by spaces.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).context("/proc/self/stat has no name")?;
    let mut times = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    let (user, system) = (times.next().context("no user time")??, times.next().context("no system time")??);
    Ok((user + system) / TICKS_PER_SECOND)
}

/// Memory of the process that is in RAM.
fn resident_mb() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes / 1024.0)
}
