//! Vantage, asked over HTTP and by function call.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use vantage::catalog::ServedIndex;
use vantage::change::{Datum, Row, encode_datum};
use vantage::demo::client::Client;
use vantage::engine::{Engine, View};
use vantage::store::KeyRange;

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
    page: Arc<Listing>,
    bestsellers: Arc<Listing>,
}

impl InProcess {
    /// Finds the views and the indexes.
    pub(crate) fn open(engine: &Engine) -> Result<InProcess> {
        Ok(InProcess {
            card: engine.view("product_card").context("product_card is not served")?,
            page: Arc::new(Listing::open(engine, "category_page", "category_page_by_rating")?),
            bestsellers: Arc::new(Listing::open(engine, "bestsellers", "bestsellers_by_place")?),
        })
    }

    /// The answer.
    pub(crate) fn ask(&self, question: Question) -> Result<Answer> {
        Ok(match question {
            Question::Card(id) => {
                let row = self.card.get(&[Datum::Int(id)])?;
                Answer::Card(row.map(|row| card(&self.card, &row)).transpose()?)
            }
            Question::Page(category) => {
                let rows = self.page.first(category, PAGE_ROWS)?;
                Answer::Page(rows.iter().map(|row| page_row(&self.page.view, row)).collect::<Result<_>>()?)
            }
            Question::Bestsellers(category) => {
                let rows = self.bestsellers.first(category, BESTSELLER_ROWS)?;
                let view = &self.bestsellers.view;
                Answer::Bestsellers(rows.iter().map(|row| bestseller(view, row)).collect::<Result<_>>()?)
            }
        })
    }
}

/// A view read through one of its indexes.
struct Listing {
    view: View,
    index: ServedIndex,
}

impl Listing {
    fn open(engine: &Engine, view: &str, index: &str) -> Result<Listing> {
        let view = engine.view(view).with_context(|| format!("{view} is not served"))?;
        let index = view.relation().indexes.iter().find(|it| it.name == index).cloned();
        Ok(Listing { view, index: index.context("an index is missing")? })
    }

    /// The first rows of a category in the index's order.
    fn first(&self, category: i64, limit: usize) -> Result<Vec<Row>> {
        let mut prefix = Vec::with_capacity(9);
        encode_datum(Datum::Int(category), self.index.key[0], Default::default(), &mut prefix);
        let epoch = self.view.epoch();
        let entries = epoch.scan(self.index.id, &KeyRange::prefix(&prefix), false, limit)?;
        let keys: Vec<Vec<u8>> = entries
            .iter()
            .filter_map(|entry| match entry.get(0, vantage::change::DataType::Bytes) {
                Datum::Bytes(key) => Some(key.to_vec()),
                _ => None,
            })
            .collect();
        let rows = epoch.get_many(self.view.relation().id, &keys)?;
        rows.into_iter().map(|row| row.context("an index entry without its row")).collect()
    }
}

fn int(view: &View, row: &Row, column: &str) -> Result<i64> {
    match view.cell(row, column) {
        Some(Datum::Int(it)) => Ok(it),
        // Row numbers are decimals without a fraction when the planner says so.
        Some(Datum::Decimal(it)) => Ok(it.try_into()?),
        other => anyhow::bail!("{column} is {other:?}"),
    }
}

fn text(view: &View, row: &Row, column: &str) -> Result<String> {
    match view.cell(row, column) {
        Some(Datum::Text(it)) => Ok(it.to_owned()),
        other => anyhow::bail!("{column} is {other:?}"),
    }
}

fn float(view: &View, row: &Row, column: &str) -> Result<Option<f64>> {
    match view.cell(row, column) {
        Some(Datum::Float(it)) => Ok(Some(it)),
        Some(Datum::Null) => Ok(None),
        other => anyhow::bail!("{column} is {other:?}"),
    }
}

fn card(view: &View, row: &Row) -> Result<Card> {
    let list_price = view.cell(row, "list_price_cents");
    Ok(Card {
        id: int(view, row, "id")?,
        sku: text(view, row, "sku")?,
        name: text(view, row, "name")?,
        brand_id: int(view, row, "brand_id")?,
        brand: text(view, row, "brand")?,
        category_id: int(view, row, "category_id")?,
        category: text(view, row, "category")?,
        price_cents: int(view, row, "price_cents")?,
        list_price_cents: if list_price == Some(Datum::Null) {
            None
        } else {
            Some(int(view, row, "list_price_cents")?)
        },
        stock: int(view, row, "stock")?,
        reviews: int(view, row, "reviews")?,
        rating: float(view, row, "rating")?,
    })
}

fn page_row(view: &View, row: &Row) -> Result<PageRow> {
    Ok(PageRow {
        id: int(view, row, "id")?,
        name: text(view, row, "name")?,
        brand: text(view, row, "brand")?,
        price_cents: int(view, row, "price_cents")?,
        stock: int(view, row, "stock")?,
        reviews: int(view, row, "reviews")?,
        rating: float(view, row, "rating")?.context("rating is NULL")?,
        units_sold: int(view, row, "units_sold")?,
    })
}

fn bestseller(view: &View, row: &Row) -> Result<Bestseller> {
    Ok(Bestseller {
        place: int(view, row, "place")?,
        id: int(view, row, "id")?,
        name: text(view, row, "name")?,
        brand: text(view, row, "brand")?,
        price_cents: int(view, row, "price_cents")?,
        units_sold: int(view, row, "units_sold")?,
    })
}
