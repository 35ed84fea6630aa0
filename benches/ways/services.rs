//! Five small HTTP services, each over its own SQLite file: what an API composition calls.
//!
//! They are as fast as such services get: prepared statements, a warm connection for every request, batch end points
//! for lists of ids, and only the columns that are asked for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use rusqlite::{Connection, Params, Row};
use serde::{Deserialize, Serialize};
use vantage::demo::shop::{Service, Shop};

/// What the catalog service says about a product.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: i64,
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) brand_id: i64,
    pub(crate) brand: String,
    pub(crate) category_id: i64,
    pub(crate) category: String,
}

/// What the pricing service says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Price {
    pub(crate) product_id: i64,
    pub(crate) price_cents: i64,
    pub(crate) list_price_cents: Option<i64>,
}

/// What the inventory service says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stock {
    pub(crate) product_id: i64,
    pub(crate) quantity: i64,
}

/// What the reviews service says; products without reviews are left out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Rating {
    pub(crate) product_id: i64,
    pub(crate) reviews: i64,
    pub(crate) rating: f64,
}

/// What the orders service says; products never sold are left out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sales {
    pub(crate) product_id: i64,
    pub(crate) units: i64,
}

const IDS: &str = "IN (SELECT value FROM json_each(?1))";

/// Warm connections to one service's file.
#[derive(Clone)]
struct Pool {
    shop: Shop,
    service: Service,
    idle: Arc<Mutex<Vec<Connection>>>,
}

type Failure = (StatusCode, String);

impl Pool {
    fn new(shop: &Shop, service: Service) -> Pool {
        Pool { shop: shop.clone(), service, idle: Arc::default() }
    }

    fn query<T>(
        &self,
        query: &str,
        parameters: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Json<Vec<T>>, Failure> {
        let failed = |error: rusqlite::Error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
        let idle = || self.idle.lock().unwrap_or_else(|it| it.into_inner());
        let warm = idle().pop();
        let connection = warm.map_or_else(|| self.shop.open(self.service), Ok).map_err(failed)?;
        let rows = connection.prepare_cached(query).and_then(|mut select| {
            let rows = select.query_map(parameters, read)?;
            rows.collect::<Result<Vec<T>, _>>()
        });
        idle().push(connection);
        rows.map(Json).map_err(failed)
    }

    fn by_ids<T>(
        &self,
        query: &str,
        ids: &[i64],
        read: impl Fn(&Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Json<Vec<T>>, Failure> {
        let ids = serde_json::to_string(ids).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        self.query(&format!("{query} {IDS}"), [ids], read)
    }
}

async fn products(State(pool): State<Pool>, Json(ids): Json<Vec<i64>>) -> Result<Json<Vec<Product>>, Failure> {
    let query = "SELECT p.id, p.sku, p.name, p.brand_id, b.name, p.category_id, c.name FROM products p
                 JOIN brands b ON b.id = p.brand_id JOIN categories c ON c.id = p.category_id WHERE p.id";
    pool.by_ids(query, &ids, |row| {
        Ok(Product {
            id: row.get(0)?,
            sku: row.get(1)?,
            name: row.get(2)?,
            brand_id: row.get(3)?,
            brand: row.get(4)?,
            category_id: row.get(5)?,
            category: row.get(6)?,
        })
    })
}

async fn category(State(pool): State<Pool>, Path(category): Path<i64>) -> Result<Json<Vec<i64>>, Failure> {
    pool.query("SELECT id FROM products WHERE category_id = ?1 ORDER BY id", [category], |row| row.get(0))
}

async fn prices(State(pool): State<Pool>, Json(ids): Json<Vec<i64>>) -> Result<Json<Vec<Price>>, Failure> {
    let query = "SELECT product_id, price_cents, list_price_cents FROM prices WHERE product_id";
    let read =
        |row: &Row<'_>| Ok(Price { product_id: row.get(0)?, price_cents: row.get(1)?, list_price_cents: row.get(2)? });
    pool.by_ids(query, &ids, read)
}

async fn stock(State(pool): State<Pool>, Json(ids): Json<Vec<i64>>) -> Result<Json<Vec<Stock>>, Failure> {
    let ids = serde_json::to_string(&ids).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let query = format!("SELECT product_id, sum(quantity) FROM stock WHERE product_id {IDS} GROUP BY product_id");
    pool.query(&query, [ids], |row| Ok(Stock { product_id: row.get(0)?, quantity: row.get(1)? }))
}

async fn ratings(State(pool): State<Pool>, Json(ids): Json<Vec<i64>>) -> Result<Json<Vec<Rating>>, Failure> {
    let ids = serde_json::to_string(&ids).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let query =
        format!("SELECT product_id, count(*), avg(rating) FROM reviews WHERE product_id {IDS} GROUP BY product_id");
    pool.query(&query, [ids], |row| Ok(Rating { product_id: row.get(0)?, reviews: row.get(1)?, rating: row.get(2)? }))
}

async fn sales(State(pool): State<Pool>, Json(ids): Json<Vec<i64>>) -> Result<Json<Vec<Sales>>, Failure> {
    let ids = serde_json::to_string(&ids).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let query = format!("SELECT product_id, sum(quantity) FROM order_items WHERE product_id {IDS} GROUP BY product_id");
    pool.query(&query, [ids], |row| Ok(Sales { product_id: row.get(0)?, units: row.get(1)? }))
}

/// Starts the five services on ports of their own, in the order of [`Service::ALL`].
pub(crate) async fn start(shop: &Shop) -> Result<[SocketAddr; 5]> {
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); 5];
    for (address, service) in addresses.iter_mut().zip(Service::ALL) {
        let routes = match service {
            Service::Catalog => {
                Router::new().route("/products", post(products)).route("/categories/{category}/products", get(category))
            }
            Service::Pricing => Router::new().route("/prices", post(prices)),
            Service::Inventory => Router::new().route("/stock", post(stock)),
            Service::Reviews => Router::new().route("/ratings", post(ratings)),
            Service::Orders => Router::new().route("/sales", post(sales)),
        };
        *address = listen(routes.with_state(Pool::new(shop, service))).await?;
    }
    Ok(addresses)
}

/// Starts a server that answers with nothing.
pub(crate) async fn start_empty() -> Result<SocketAddr> {
    listen(Router::new().route("/", get(|| async {}))).await
}

async fn listen(routes: Router) -> Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| _ = stream.set_nodelay(true));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}
