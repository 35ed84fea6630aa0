//! The ways to answer a page's questions: a live join, a composition of services, and Vantage.
//!
//! Every way gives the same typed answer, so what is timed always ends with values a program can use.

pub(crate) mod awake;
pub(crate) mod compose;
pub(crate) mod live;
pub(crate) mod served;
pub(crate) mod services;

use anyhow::Result;
use vantage::demo::client::Client;

use compose::Composition;
use live::LiveJoin;
use served::{InProcess, OverHttp};

/// Rows on a category page.
pub(crate) const PAGE_ROWS: usize = 20;

/// Rows in a list of bestsellers.
pub(crate) const BESTSELLER_ROWS: usize = 10;

/// What a shop's front end asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// The card of a product.
    Card(i64),
    /// The best rated products of a category.
    Page(i64),
    /// What sells best in a category.
    Bestsellers(i64),
}

/// A product card.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub(crate) struct Card {
    pub(crate) id: i64,
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) brand_id: i64,
    pub(crate) brand: String,
    pub(crate) category_id: i64,
    pub(crate) category: String,
    pub(crate) price_cents: i64,
    pub(crate) list_price_cents: Option<i64>,
    pub(crate) stock: i64,
    pub(crate) reviews: i64,
    pub(crate) rating: Option<f64>,
}

/// A line of a category page.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub(crate) struct PageRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) brand: String,
    pub(crate) price_cents: i64,
    pub(crate) stock: i64,
    pub(crate) reviews: i64,
    pub(crate) rating: f64,
    pub(crate) units_sold: i64,
}

/// A line of a list of bestsellers.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub(crate) struct Bestseller {
    pub(crate) place: i64,
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) brand: String,
    pub(crate) price_cents: i64,
    pub(crate) units_sold: i64,
}

/// What comes back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// `None` when there is no such product for sale.
    Card(Option<Card>),
    /// The best first.
    Page(Vec<PageRow>),
    /// The best first.
    Bestsellers(Vec<Bestseller>),
    /// Only timed.
    Nothing,
}

impl Answer {
    /// Whether both say the same; ratings may differ in the last digit, since JSON went in between.
    pub(crate) fn agrees(&self, other: &Answer) -> bool {
        self.rounded() == other.rounded()
    }

    fn rounded(&self) -> Answer {
        let round = |rating: f64| (rating * 1e9).round() / 1e9;
        let mut answer = self.clone();
        match &mut answer {
            Answer::Card(card) => {
                if let Some(card) = card {
                    card.rating = card.rating.map(round);
                }
            }
            Answer::Page(rows) => rows.iter_mut().for_each(|row| row.rating = round(row.rating)),
            Answer::Bestsellers(_) | Answer::Nothing => {}
        }
        answer
    }
}

/// One caller that asks one question at a time.
pub(crate) enum Caller {
    /// A join over the services' files.
    Live(LiveJoin),
    /// Calls to the services, joined by the caller.
    Composed(Box<Composition>),
    /// Vantage's HTTP interface.
    OverHttp(OverHttp),
    /// Vantage in this process.
    InProcess(Box<InProcess>),
    /// A request that is answered with next to nothing.
    Empty(Client),
}

impl Caller {
    /// The answer.
    pub(crate) async fn ask(&mut self, question: Question) -> Result<Answer> {
        match self {
            Caller::Live(it) => it.ask(question),
            Caller::Composed(it) => it.ask(question).await,
            Caller::OverHttp(it) => it.ask(question).await,
            Caller::InProcess(it) => it.ask(question),
            Caller::Empty(client) => {
                client.get("/").await?;
                Ok(Answer::Nothing)
            }
        }
    }
}
