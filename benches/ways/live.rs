//! A live join: one SQLite connection over the five services' files, statements prepared once, the indexes that the
//! services have. No ownership, no network: the best a shared database could do.

use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, Row};
use vantage::demo::shop::{Service, Shop};

use super::{Answer, BESTSELLER_ROWS, Bestseller, Card, PAGE_ROWS, PageRow, Question};

const CARD: &str = "
SELECT p.id, p.sku, p.name, p.brand_id, b.name, p.category_id, c.name, pr.price_cents, pr.list_price_cents,
       coalesce((SELECT sum(quantity) FROM stock WHERE product_id = p.id), 0),
       (SELECT count(*) FROM reviews WHERE product_id = p.id),
       (SELECT avg(rating) FROM reviews WHERE product_id = p.id)
FROM products p
JOIN brands b ON b.id = p.brand_id
JOIN categories c ON c.id = p.category_id
JOIN prices pr ON pr.product_id = p.id
WHERE p.id = ?1";

/// Written as one query. Sorting the keys first and joining the rest to the 20 rows that stay was tried: it is slower.
const PAGE: &str = "
SELECT p.id, p.name, b.name, pr.price_cents,
       coalesce((SELECT sum(quantity) FROM stock WHERE product_id = p.id), 0),
       (SELECT count(*) FROM reviews WHERE product_id = p.id),
       coalesce((SELECT avg(rating) FROM reviews WHERE product_id = p.id), 0.0) AS rating,
       coalesce((SELECT sum(quantity) FROM order_items WHERE product_id = p.id), 0)
FROM products p
JOIN brands b ON b.id = p.brand_id
JOIN categories c ON c.id = p.category_id
JOIN prices pr ON pr.product_id = p.id
WHERE p.category_id = ?1
ORDER BY rating DESC, p.id
LIMIT ?2";

const BESTSELLERS: &str = "
SELECT p.id, p.name, b.name, pr.price_cents,
       (SELECT sum(quantity) FROM order_items WHERE product_id = p.id) AS units
FROM products p
JOIN brands b ON b.id = p.brand_id
JOIN categories c ON c.id = p.category_id
JOIN prices pr ON pr.product_id = p.id
WHERE p.category_id = ?1 AND units > 0
ORDER BY units DESC, p.id
LIMIT ?2";

/// The connection.
pub(crate) struct LiveJoin {
    connection: Connection,
}

impl LiveJoin {
    /// Opens the files.
    pub(crate) fn open(shop: &Shop) -> Result<LiveJoin> {
        let connection = Connection::open_in_memory()?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        for service in Service::ALL {
            let path = shop.path(service).to_string_lossy().into_owned();
            connection.execute(&format!("ATTACH ?1 AS \"{}\"", service.name()), [path])?;
            // Enough to hold what the questions touch, so that no page is read twice from the file.
            connection.execute_batch(&format!("PRAGMA \"{}\".cache_size = -65536", service.name()))?;
        }
        Ok(LiveJoin { connection })
    }

    /// The answer.
    pub(crate) fn ask(&self, question: Question) -> Result<Answer> {
        Ok(match question {
            Question::Card(id) => Answer::Card(self.connection.prepare_cached(CARD)?.query_row([id], card).optional()?),
            Question::Page(category) => {
                let mut select = self.connection.prepare_cached(PAGE)?;
                let rows = select.query_map([category, PAGE_ROWS as i64], page_row)?;
                Answer::Page(rows.collect::<Result<_, _>>()?)
            }
            Question::Bestsellers(category) => {
                let mut select = self.connection.prepare_cached(BESTSELLERS)?;
                let rows = select.query_map([category, BESTSELLER_ROWS as i64], bestseller)?;
                let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
                (1..).zip(&mut rows).for_each(|(place, row)| row.place = place);
                Answer::Bestsellers(rows)
            }
        })
    }
}

fn card(row: &Row<'_>) -> Result<Card, rusqlite::Error> {
    Ok(Card {
        id: row.get(0)?,
        sku: row.get(1)?,
        name: row.get(2)?,
        brand_id: row.get(3)?,
        brand: row.get(4)?,
        category_id: row.get(5)?,
        category: row.get(6)?,
        price_cents: row.get(7)?,
        list_price_cents: row.get(8)?,
        stock: row.get(9)?,
        reviews: row.get(10)?,
        rating: row.get(11)?,
    })
}

fn page_row(row: &Row<'_>) -> Result<PageRow, rusqlite::Error> {
    Ok(PageRow {
        id: row.get(0)?,
        name: row.get(1)?,
        brand: row.get(2)?,
        price_cents: row.get(3)?,
        stock: row.get(4)?,
        reviews: row.get(5)?,
        rating: row.get(6)?,
        units_sold: row.get(7)?,
    })
}

fn bestseller(row: &Row<'_>) -> Result<Bestseller, rusqlite::Error> {
    Ok(Bestseller {
        place: 0,
        id: row.get(0)?,
        name: row.get(1)?,
        brand: row.get(2)?,
        price_cents: row.get(3)?,
        units_sold: row.get(4)?,
    })
}
