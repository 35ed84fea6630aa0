//! Live joins against views: the same questions, the same data, the same moment.
//!
//! Four ways answer a front end's three questions over one seeded shop: a join over the services' files in one SQLite
//! connection, a composition of five HTTP services, Vantage over HTTP and Vantage in the process. First all ways must
//! agree on a sample of questions, then each is timed, idle and while the services write, in rounds that take turns so
//! that all ways see the same machine and the same age of the data. One caller asks one question at a time; what goes
//! over HTTP is also asked by sixteen at once, since that is how it is used. A bare HTTP server that answers with
//! nothing is timed beside them: no way over HTTP can be faster than that on the machine at hand. The cores are kept
//! awake throughout, so that idle and writing differ by the writing alone.

mod ways;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::Serialize;
use tokio::runtime::Runtime;
use vantage::demo::Stage;
use vantage::demo::client::Client;
use vantage::demo::latency::{Latencies, Quantiles};
use vantage::demo::settle::settle;
use vantage::demo::shop::Shop;
use vantage::demo::skew::Skew;
use vantage::demo::traffic::Traffic;
use vantage::serve::{ServeOptions, serve};
use ways::awake::Awake;
use ways::compose::Composition;
use ways::live::LiveJoin;
use ways::served::{InProcess, OverHttp};
use ways::{Answer, Caller, Question, services};

#[global_allocator]
static ALLOCATOR: metered::Metered<mimalloc::MiMalloc> = metered::Metered::new(mimalloc::MiMalloc);

/// Callers at once where many are measured.
const MANY_CALLERS: usize = 16;

/// How often the ways take turns.
const ROUNDS: u32 = 3;

/// Questions of each kind that all ways must agree on.
const AGREED_QUESTIONS: usize = 200;

/// Live joins and API composition against views.
#[derive(Debug, Parser)]
struct Options {
    /// Sizes of the shop, in products
    #[arg(long, value_delimiter = ',', default_value = "10000,200000")]
    products: Vec<u64>,
    /// Seconds each figure is measured for
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Changes a second that the services write in the second half
    #[arg(long, default_value_t = 2000.0)]
    rate: f64,
    /// Where the figures go as JSON
    #[arg(long, default_value = "live_joins.json")]
    json: PathBuf,
    /// Ignored: cargo passes it
    #[arg(long, hide = true)]
    bench: bool,
}

/// The ways, in the order they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    LiveJoin,
    ApiComposition,
    VantageHttp,
    VantageInProcess,
    EmptyHttp,
}

const WAYS: [Way; 4] = [Way::LiveJoin, Way::ApiComposition, Way::VantageHttp, Way::VantageInProcess];
const TIMED: [Way; 5] = [Way::LiveJoin, Way::ApiComposition, Way::EmptyHttp, Way::VantageHttp, Way::VantageInProcess];

impl Way {
    fn label(self) -> &'static str {
        match self {
            Way::LiveJoin => "live join, one SQLite connection",
            Way::ApiComposition => "API composition, five services",
            Way::VantageHttp => "Vantage over HTTP",
            Way::VantageInProcess => "Vantage in process",
            Way::EmptyHttp => "an empty answer over HTTP",
        }
    }

    fn is_http(self) -> bool {
        matches!(self, Way::ApiComposition | Way::VantageHttp | Way::EmptyHttp)
    }
}

/// The kinds of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    ProductCard,
    CategoryPage,
    Bestsellers,
}

const KINDS: [Kind; 3] = [Kind::ProductCard, Kind::CategoryPage, Kind::Bestsellers];

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Kind::ProductCard => "one product card",
            Kind::CategoryPage => "category page, 20 of 500 by rating",
            Kind::Bestsellers => "bestsellers of a category",
        }
    }

    /// Questions as visitors ask them: popular products, and the categories these are in.
    fn questions(self, shop: &Shop, count: usize, seed: u64) -> Vec<Question> {
        let (popular, mut random) = (Skew::new(shop.products()), SmallRng::seed_from_u64(seed));
        let mut products = std::iter::repeat_with(|| popular.sample(&mut random)).take(count);
        match self {
            Kind::ProductCard => products.map(Question::Card).collect(),
            Kind::CategoryPage => products.map(|id| Question::Page(shop.category_of(id))).collect(),
            Kind::Bestsellers => products.by_ref().map(|id| Question::Bestsellers(shop.category_of(id))).collect(),
        }
    }
}

/// One measured figure.
#[derive(Debug, Clone, Serialize)]
struct Figure {
    products: u64,
    changes_per_second: f64,
    kind: Kind,
    way: Way,
    callers: usize,
    answers_per_second: f64,
    times: Quantiles,
}

/// The parts that are running while one shop is measured.
struct Bench {
    stage: Stage,
    services: [SocketAddr; 5],
    vantage: SocketAddr,
    /// A server that answers with nothing.
    empty: SocketAddr,
    /// The servers' threads; the callers have as many of their own.
    servers: Runtime,
    callers: Runtime,
}

fn main() -> Result<()> {
    let options = Options::parse();
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    let _awake = Awake::start()?;
    let mut figures = Vec::new();
    for &products in &options.products {
        let bench = Bench::start(products)?;
        bench.ways_agree()?;
        for rate in [0.0, options.rate] {
            let measured = bench.measure(products, rate, Duration::from_secs_f64(options.seconds))?;
            print_table(&measured);
            figures.extend(measured);
        }
        bench.ways_agree()?;
        bench.stage.engine.stop()?;
    }
    std::fs::write(&options.json, serde_json::to_string_pretty(&figures)?)
        .with_context(|| format!("cannot write {}", options.json.display()))?;
    println!("figures: {}", options.json.display());
    Ok(())
}

impl Bench {
    fn start(products: u64) -> Result<Bench> {
        let stage = Stage::set(products)?;
        let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let (servers, callers) = (runtime()?, runtime()?);
        let services = servers.block_on(services::start(&stage.shop))?;
        let empty = servers.block_on(services::start_empty())?;
        let listener = servers.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let vantage = listener.local_addr()?;
        let board = Arc::clone(stage.engine.board());
        servers.spawn(serve(listener, board, ServeOptions::default(), std::future::pending()));
        Ok(Bench { stage, services, vantage, empty, servers, callers })
    }

    async fn caller(&self, way: Way) -> Result<Caller> {
        Ok(match way {
            Way::LiveJoin => Caller::Live(LiveJoin::open(&self.stage.shop)?),
            Way::ApiComposition => Caller::Composed(Box::new(Composition::connect(self.services).await?)),
            Way::VantageHttp => Caller::OverHttp(OverHttp::connect(self.vantage).await?),
            Way::VantageInProcess => Caller::InProcess(Box::new(InProcess::open(&self.stage.engine)?)),
            Way::EmptyHttp => Caller::Empty(Client::connect(self.empty, None).await?),
        })
    }

    /// All ways give the same answers; the services must be quiet.
    fn ways_agree(&self) -> Result<()> {
        let (catalog, shop) = (self.stage.engine.catalog(), &self.stage.shop);
        let patience = Duration::from_secs(60);
        settle(catalog, shop.directory(), self.stage.engine.board(), self.servers.handle(), patience)?;
        self.callers.block_on(async {
            let mut callers = Vec::new();
            for way in WAYS {
                callers.push((way, self.caller(way).await?));
            }
            for kind in KINDS {
                for question in kind.questions(shop, AGREED_QUESTIONS, 11) {
                    let mut expected: Option<Answer> = None;
                    for (way, caller) in &mut callers {
                        let answer = caller.ask(question).await?;
                        let expected = expected.get_or_insert_with(|| answer.clone());
                        let same = expected.agrees(&answer);
                        ensure!(same, "{question:?}: {way:?} answers {answer:#?}, the live join {expected:#?}");
                    }
                }
            }
            println!("all four ways agree on {} questions", AGREED_QUESTIONS * KINDS.len());
            Ok(())
        })
    }

    /// Every way and kind of question, while the services write at `rate`.
    fn measure(&self, products: u64, rate: f64, duration: Duration) -> Result<Vec<Figure>> {
        let traffic = (rate > 0.0).then(|| Traffic::start(&self.stage.shop, rate, 5)).transpose()?;
        let mut figures = Vec::new();
        for kind in KINDS {
            let questions: Arc<[Question]> = kind.questions(&self.stage.shop, 10_000, 7).into();
            let both = |way: Way| [1, MANY_CALLERS].into_iter().take(if way.is_http() { 2 } else { 1 });
            let asked: Vec<(Way, usize)> =
                TIMED.into_iter().flat_map(|way| both(way).map(move |it| (way, it))).collect();
            let askers = asked.iter().map(|(way, count)| self.callers.block_on(self.askers(*way, *count, &questions)));
            let mut askers = askers.collect::<Result<Vec<_>>>()?;
            let mut timed: Vec<Timed> = asked.iter().map(|_| Timed::default()).collect();
            for _ in 0..ROUNDS {
                for (askers, timed) in askers.iter_mut().zip(&mut timed) {
                    self.callers.block_on(timed.add(askers, duration / ROUNDS))?;
                }
            }
            for ((way, callers), timed) in asked.into_iter().zip(timed) {
                figures.push(Figure {
                    products,
                    changes_per_second: rate,
                    kind,
                    way,
                    callers,
                    answers_per_second: timed.times.len() as f64 / timed.seconds,
                    times: timed.times.quantiles().context("no answer within the time")?,
                });
            }
        }
        if let Some(written) = traffic.map(Traffic::stop).transpose()? {
            let achieved = written.changes as f64 / written.seconds;
            figures.iter_mut().for_each(|figure| figure.changes_per_second = achieved);
            // A writer that cannot keep its rate means that the machine is too slow for this figure to mean much.
            if achieved < 0.9 * rate {
                println!("note: the services wrote {achieved:.0} changes/s, not {rate:.0}");
            }
        }
        Ok(figures)
    }

    /// Callers of one way that begin at different questions.
    async fn askers(&self, way: Way, count: usize, questions: &Arc<[Question]>) -> Result<Vec<Asker>> {
        let mut askers = Vec::new();
        for nth in 0..count {
            let (caller, questions) = (self.caller(way).await?, Arc::clone(questions));
            let mut asker = Asker { caller, next: nth * questions.len() / count, questions };
            // Warm: statements prepared, pages cached, connections opened.
            for _ in 0..50 {
                asker.ask().await?;
            }
            askers.push(asker);
        }
        Ok(askers)
    }
}

/// One caller and where it is in the questions, which it asks over and over.
struct Asker {
    caller: Caller,
    questions: Arc<[Question]>,
    next: usize,
}

impl Asker {
    async fn ask(&mut self) -> Result<()> {
        let question = self.questions[self.next % self.questions.len()];
        self.next += 1;
        std::hint::black_box(self.caller.ask(question).await?);
        Ok(())
    }

    async fn ask_for(mut self, duration: Duration) -> Result<(Asker, Latencies, Duration)> {
        let mut times = Latencies::new();
        let begin = Instant::now();
        while begin.elapsed() < duration {
            let asked = Instant::now();
            self.ask().await?;
            times.push(asked.elapsed());
        }
        Ok((self, times, begin.elapsed()))
    }
}

/// What some callers came to.
#[derive(Default)]
struct Timed {
    times: Latencies,
    seconds: f64,
}

impl Timed {
    /// Adds a round in which all `askers` ask at once.
    async fn add(&mut self, askers: &mut Vec<Asker>, duration: Duration) -> Result<()> {
        let asking: Vec<_> = askers.drain(..).map(|asker| tokio::spawn(asker.ask_for(duration))).collect();
        let mut longest = Duration::ZERO;
        for asked in asking {
            let (asker, times, took) = asked.await??;
            askers.push(asker);
            self.times.extend(times);
            longest = longest.max(took);
        }
        self.seconds += longest.as_secs_f64();
        Ok(())
    }
}

/// One table for one shop and one load.
fn print_table(figures: &[Figure]) {
    let Some(first) = figures.first() else { return };
    let load = match first.changes_per_second {
        0.0 => "idle".to_owned(),
        rate => format!("while the services write {rate:.0} changes/s"),
    };
    println!("\n{} products, {load}", first.products);
    for kind in KINDS {
        let one = |way| figures.iter().find(|it| it.kind == kind && it.way == way && it.callers == 1);
        let many = |way| figures.iter().find(|it| it.kind == kind && it.way == way && it.callers > 1);
        let (p50, p99, answers) = ("p50", "p99", "answers/s");
        let (live, composed) = ("× live join", "× composition");
        let head = format!("{p50:>10}{p99:>10}{answers:>12}{live:>13}{composed:>15}{:>14}{composed:>15}", "16 callers");
        println!("  {:<36}{head}", kind.label());
        for way in TIMED {
            let Some(figure) = one(way) else { continue };
            let ratio = |other: Way| {
                let rate = one(other).map_or(f64::NAN, |it| it.answers_per_second);
                format!("{:.1}", figure.answers_per_second / rate)
            };
            let [p50, p99] = [figure.times.p50_us, figure.times.p99_us].map(Quantiles::readable);
            let (live, composed) = (ratio(Way::LiveJoin), ratio(Way::ApiComposition));
            let answers = figure.answers_per_second;
            let at_once = many(way).zip(many(Way::ApiComposition)).map_or(String::new(), |(own, composed)| {
                let rate = own.answers_per_second;
                format!("{rate:>14.0}{:>15.1}", rate / composed.answers_per_second)
            });
            println!("    {:<34}{p50:>10}{p99:>10}{answers:>12.0}{live:>13}{composed:>15}{at_once}", way.label());
        }
    }
}
