//! Vantage, asked over HTTP and by function call.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use vantage::change::{DataType, Datum, Row};
use vantage::demo::client::Client;
use vantage::engine::{Engine, Listing, View};

use super::{Answer, BESTSELLER_ROWS, Bestseller, Card, PAGE_ROWS, PageRow, Question};

/// One kept-alive connection to Vantage.
pub(crate) struct OverHttp {
    client: Client,
}

impl OverHttp {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> Result<OverHttp> {
        Ok(OverHttp { client: Client::connect(address, None).await? })
    }

    /// The answer.
    pub(crate) async fn ask(&mut self, question: Question) -> Result<Answer> {
        Ok(match question {
            Question::Card(id) => {
                let answer = self.client.get(&format!("/v1/views/product_card/{id}")).await?;
                Answer::Card(answer.map(|body| serde_json::from_slice::<Card>(&body)).transpose()?)
            }
            Question::Page(category) => {
                let query = format!("category_id=eq.{category}&order=rating.desc&limit={PAGE_ROWS}");
                Answer::Page(self.rows(&format!("/v1/views/category_page?{query}")).await?)
            }
            Question::Bestsellers(category) => {
                let query = format!("category_id=eq.{category}&order=place&limit={BESTSELLER_ROWS}");
                Answer::Bestsellers(self.rows(&format!("/v1/views/bestsellers?{query}")).await?)
            }
        })
    }

    async fn rows<T: serde::de::DeserializeOwned>(&mut self, path: &str) -> Result<Vec<T>> {
        let body = self.client.get(path).await?.with_context(|| format!("no {path}"))?;
        Ok(serde_json::from_slice(&body)?)
    }
}

/// Views read by function call, from one epoch a question.
#[derive(Clone)]
pub(crate) struct InProcess {
    card: View,
    /// Where the card's columns are, in the order of [`CARD_COLUMNS`].
    card_cells: [(usize, DataType); 12],
    page: Arc<Listing>,
    bestsellers: Arc<Listing>,
}

const CARD_COLUMNS: [&str; 12] = [
    "id",
    "sku",
    "name",
    "brand_id",
    "brand",
    "category_id",
    "category",
    "price_cents",
    "list_price_cents",
    "stock",
    "reviews",
    "rating",
];
const PAGE_COLUMNS: [&str; 8] = ["id", "name", "brand", "price_cents", "stock", "reviews", "rating", "units_sold"];
const BESTSELLER_COLUMNS: [&str; 6] = ["place", "id", "name", "brand", "price_cents", "units_sold"];

impl InProcess {
    /// Finds the views and the indexes.
    pub(crate) fn open(engine: &Engine) -> Result<InProcess> {
        let listing = |view: &str, index: &str, columns: &[&str]| {
            let listing = engine.view(view).and_then(|it| it.listing(index, columns));
            listing.map(Arc::new).with_context(|| format!("{view} or {index} is not served"))
        };
        let card = engine.view("product_card").context("product_card is not served")?;
        let mut card_cells = [(0, DataType::Int64); 12];
        for (cell, name) in card_cells.iter_mut().zip(CARD_COLUMNS) {
            let schema = &card.relation().schema;
            let column = schema.index_of(name).with_context(|| format!("product_card has no {name}"))?;
            *cell = (column, schema.data_type(column));
        }
        Ok(InProcess {
            card,
            card_cells,
            page: listing("category_page", "category_page_by_rating", &PAGE_COLUMNS)?,
            bestsellers: listing("bestsellers", "bestsellers_by_place", &BESTSELLER_COLUMNS)?,
        })
    }

    fn card_cell<'r>(&self, row: &'r Row, at: usize) -> Datum<'r> {
        let (column, data_type) = self.card_cells[at];
        row.get(column, data_type)
    }

    /// The answer.
    pub(crate) fn ask(&self, question: Question) -> Result<Answer> {
        Ok(match question {
            Question::Card(id) => {
                let row = self.card.get(&[Datum::Int(id)])?;
                Answer::Card(row.map(|row| card(|at| self.card_cell(&row, at))).transpose()?)
            }
            Question::Page(category) => {
                let rows = self.page.first(&self.page.epoch(), &[Datum::Int(category)], PAGE_ROWS)?;
                Answer::Page(rows.iter().map(|row| page_row(|at| self.page.cell(row, at))).collect::<Result<_>>()?)
            }
            Question::Bestsellers(category) => {
                let list = &self.bestsellers;
                let rows = list.first(&list.epoch(), &[Datum::Int(category)], BESTSELLER_ROWS)?;
                Answer::Bestsellers(rows.iter().map(|row| bestseller(|at| list.cell(row, at))).collect::<Result<_>>()?)
            }
        })
    }
}

fn int(cell: Datum<'_>) -> Result<i64> {
    match cell {
        Datum::Int(it) => Ok(it),
        // Row numbers are decimals without a fraction when the planner says so.
        Datum::Decimal(it) => Ok(it.try_into()?),
        other => anyhow::bail!("{other:?} is not an integer"),
    }
}

fn text(cell: Datum<'_>) -> Result<String> {
    match cell {
        Datum::Text(it) => Ok(it.to_owned()),
        other => anyhow::bail!("{other:?} is not a text"),
    }
}

fn float(cell: Datum<'_>) -> Result<Option<f64>> {
    match cell {
        Datum::Float(it) => Ok(Some(it)),
        Datum::Null => Ok(None),
        other => anyhow::bail!("{other:?} is not a float"),
    }
}

/// Cells in the order of [`CARD_COLUMNS`].
fn card<'r>(cell: impl Fn(usize) -> Datum<'r>) -> Result<Card> {
    let list_price = cell(8);
    Ok(Card {
        id: int(cell(0))?,
        sku: text(cell(1))?,
        name: text(cell(2))?,
        brand_id: int(cell(3))?,
        brand: text(cell(4))?,
        category_id: int(cell(5))?,
        category: text(cell(6))?,
        price_cents: int(cell(7))?,
        list_price_cents: if list_price == Datum::Null { None } else { Some(int(list_price)?) },
        stock: int(cell(9))?,
        reviews: int(cell(10))?,
        rating: float(cell(11))?,
    })
}

/// Cells in the order of [`PAGE_COLUMNS`].
fn page_row<'r>(cell: impl Fn(usize) -> Datum<'r>) -> Result<PageRow> {
    Ok(PageRow {
        id: int(cell(0))?,
        name: text(cell(1))?,
        brand: text(cell(2))?,
        price_cents: int(cell(3))?,
        stock: int(cell(4))?,
        reviews: int(cell(5))?,
        rating: float(cell(6))?.context("rating is NULL")?,
        units_sold: int(cell(7))?,
    })
}

/// Cells in the order of [`BESTSELLER_COLUMNS`].
fn bestseller<'r>(cell: impl Fn(usize) -> Datum<'r>) -> Result<Bestseller> {
    Ok(Bestseller {
        place: int(cell(0))?,
        id: int(cell(1))?,
        name: text(cell(2))?,
        brand: text(cell(3))?,
        price_cents: int(cell(4))?,
        units_sold: int(cell(5))?,
    })
}
