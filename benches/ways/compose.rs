//! API composition: the caller asks the five services, at the same time where one answer does not need another, and
//! joins what comes back. It fetches sort keys for a whole category and everything else only for the rows that stay.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use futures::future::{try_join, try_join3, try_join4};
use serde::de::DeserializeOwned;
use vantage::demo::client::Client;

use super::services::{Price, Product, Rating, Sales, Stock};
use super::{Answer, BESTSELLER_ROWS, Bestseller, Card, PAGE_ROWS, PageRow, Question};

/// One kept-alive connection to each service.
pub(crate) struct Composition {
    catalog: Client,
    pricing: Client,
    inventory: Client,
    reviews: Client,
    orders: Client,
}

impl Composition {
    /// Connects to the services.
    pub(crate) async fn connect(addresses: [SocketAddr; 5]) -> Result<Composition> {
        let [catalog, pricing, inventory, reviews, orders] = addresses;
        Ok(Composition {
            catalog: Client::connect(catalog, None).await?,
            pricing: Client::connect(pricing, None).await?,
            inventory: Client::connect(inventory, None).await?,
            reviews: Client::connect(reviews, None).await?,
            orders: Client::connect(orders, None).await?,
        })
    }

    /// The answer.
    pub(crate) async fn ask(&mut self, question: Question) -> Result<Answer> {
        Ok(match question {
            Question::Card(id) => Answer::Card(self.card(id).await?),
            Question::Page(category) => Answer::Page(self.page(category).await?),
            Question::Bestsellers(category) => Answer::Bestsellers(self.bestsellers(category).await?),
        })
    }

    async fn card(&mut self, id: i64) -> Result<Option<Card>> {
        let ids = body(&[id])?;
        let (products, prices, stock, ratings): (Vec<Product>, Vec<Price>, Vec<Stock>, Vec<Rating>) = try_join4(
            fetch(&mut self.catalog, "/products", ids.clone()),
            fetch(&mut self.pricing, "/prices", ids.clone()),
            fetch(&mut self.inventory, "/stock", ids.clone()),
            fetch(&mut self.reviews, "/ratings", ids),
        )
        .await?;
        let (Some(product), Some(price)) = (products.into_iter().next(), prices.into_iter().next()) else {
            return Ok(None);
        };
        let rating = ratings.into_iter().next();
        Ok(Some(Card {
            id,
            sku: product.sku,
            name: product.name,
            brand_id: product.brand_id,
            brand: product.brand,
            category_id: product.category_id,
            category: product.category,
            price_cents: price.price_cents,
            list_price_cents: price.list_price_cents,
            stock: stock.first().map_or(0, |stock| stock.quantity),
            reviews: rating.as_ref().map_or(0, |rating| rating.reviews),
            rating: rating.map(|rating| rating.rating),
        }))
    }

    async fn page(&mut self, category: i64) -> Result<Vec<PageRow>> {
        let ids = self.category(category).await?;
        let ratings: Vec<Rating> = fetch(&mut self.reviews, "/ratings", body(&ids)?).await?;
        let mut ratings = by_id(ratings, |rating| rating.product_id);
        let mut ranked: Vec<(f64, i64)> =
            ids.into_iter().map(|id| (ratings.get(&id).map_or(0.0, |it| it.rating), id)).collect();
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut page = Vec::with_capacity(PAGE_ROWS);
        // A product that is not for sale makes room for the next one.
        for chunk in ranked.chunks(PAGE_ROWS) {
            let ids: Vec<i64> = chunk.iter().map(|(_, id)| *id).collect();
            let (stock, sales, mut offers) = try_join3(
                fetch::<Stock>(&mut self.inventory, "/stock", body(&ids)?),
                fetch::<Sales>(&mut self.orders, "/sales", body(&ids)?),
                offers(&mut self.catalog, &mut self.pricing, &ids),
            )
            .await?;
            let (stock, sales) = (by_id(stock, |it| it.product_id), by_id(sales, |it| it.product_id));
            for (rating, id) in chunk {
                let Some((product, price)) = offers.remove(id) else { continue };
                page.push(PageRow {
                    id: *id,
                    name: product.name,
                    brand: product.brand,
                    price_cents: price.price_cents,
                    stock: stock.get(id).map_or(0, |it| it.quantity),
                    reviews: ratings.remove(id).map_or(0, |it| it.reviews),
                    rating: *rating,
                    units_sold: sales.get(id).map_or(0, |it| it.units),
                });
            }
            if page.len() >= PAGE_ROWS {
                break;
            }
        }
        page.truncate(PAGE_ROWS);
        Ok(page)
    }

    async fn bestsellers(&mut self, category: i64) -> Result<Vec<Bestseller>> {
        let ids = self.category(category).await?;
        let mut sales: Vec<Sales> = fetch(&mut self.orders, "/sales", body(&ids)?).await?;
        sales.sort_unstable_by_key(|it| (std::cmp::Reverse(it.units), it.product_id));
        let mut list = Vec::with_capacity(BESTSELLER_ROWS);
        for chunk in sales.chunks(BESTSELLER_ROWS) {
            let ids: Vec<i64> = chunk.iter().map(|it| it.product_id).collect();
            let mut offers = offers(&mut self.catalog, &mut self.pricing, &ids).await?;
            for sold in chunk {
                let Some((product, price)) = offers.remove(&sold.product_id) else { continue };
                list.push(Bestseller {
                    place: list.len() as i64 + 1,
                    id: sold.product_id,
                    name: product.name,
                    brand: product.brand,
                    price_cents: price.price_cents,
                    units_sold: sold.units,
                });
            }
            if list.len() >= BESTSELLER_ROWS {
                break;
            }
        }
        list.truncate(BESTSELLER_ROWS);
        Ok(list)
    }

    async fn category(&mut self, category: i64) -> Result<Vec<i64>> {
        let path = format!("/categories/{category}/products");
        let ids = self.catalog.get(&path).await?.ok_or_else(|| anyhow!("no {path}"))?;
        Ok(serde_json::from_slice(&ids)?)
    }
}

/// Name and price of the products that have both.
async fn offers(catalog: &mut Client, pricing: &mut Client, ids: &[i64]) -> Result<HashMap<i64, (Product, Price)>> {
    let (products, prices) =
        try_join(fetch::<Product>(catalog, "/products", body(ids)?), fetch::<Price>(pricing, "/prices", body(ids)?))
            .await?;
    let mut prices = by_id(prices, |price| price.product_id);
    let both = products.into_iter().filter_map(|product| Some((product.id, (prices.remove(&product.id)?, product))));
    Ok(both.map(|(id, (price, product))| (id, (product, price))).collect())
}

fn body(ids: &[i64]) -> Result<Bytes> {
    Ok(serde_json::to_vec(ids)?.into())
}

async fn fetch<T: DeserializeOwned>(client: &mut Client, path: &str, ids: Bytes) -> Result<Vec<T>> {
    let answer = client.request(path, Some(ids)).await?.ok_or_else(|| anyhow!("no {path}"))?;
    Ok(serde_json::from_slice(&answer)?)
}

fn by_id<T>(rows: Vec<T>, id: impl Fn(&T) -> i64) -> HashMap<i64, T> {
    rows.into_iter().map(|row| (id(&row), row)).collect()
}
