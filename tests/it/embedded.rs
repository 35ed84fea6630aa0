//! The library in a program of one's own: reads by key and through indexes, without a server.

use vantage::change::Datum;
use vantage::demo::Stage;

/// Every way through a view gives the same rows: by key, and through an index that holds all columns or only some.
#[test]
fn listings_are_the_view_in_an_index_order() {
    let stage = Stage::set(500).expect("stage");
    let view = stage.engine.view("category_page").expect("view");
    let columns = ["id", "category_id", "rating", "price_cents", "name"];
    let int = |datum: Datum<'_>| if let Datum::Int(it) = datum { it } else { panic!("{datum:?} is not an integer") };
    let mut seen = 0;
    for category in 1.. {
        let mut ids: [Vec<i64>; 2] = Default::default();
        for (ids, index) in ids.iter_mut().zip(["category_page_by_rating", "category_page_by_price"]) {
            let listing = view.listing(index, &columns).expect("index");
            let epoch = listing.epoch();
            let rows = listing.first(&epoch, &[Datum::Int(category)], 1000).expect("rows");
            let price = |row| int(listing.cell(row, 3));
            let rating = |row| if let Datum::Float(it) = listing.cell(row, 2) { it } else { f64::NAN };
            assert!(rows.iter().all(|row| listing.cell(row, 1) == Datum::Int(category)));
            assert!(rows.is_sorted_by(|a, b| match index {
                "category_page_by_price" => price(a) <= price(b),
                _ => rating(a) >= rating(b),
            }));
            for row in &rows {
                let whole = view.get_at(&epoch, &[listing.cell(row, 0)]).expect("read").expect("row");
                for (at, name) in columns.iter().enumerate() {
                    assert_eq!(Some(listing.cell(row, at)), view.cell(&whole, name), "{index} {name}");
                }
            }
            let first = listing.first(&epoch, &[Datum::Int(category)], 2).expect("rows");
            assert_eq!(first, rows[..rows.len().min(2)]);
            *ids = rows.iter().map(|row| int(listing.cell(row, 0))).collect();
            ids.sort_unstable();
        }
        assert_eq!(ids[0], ids[1]);
        seen += ids[0].len();
        if ids[0].is_empty() {
            break;
        }
    }
    assert!(seen >= 500, "only {seen} products in the listings");
    assert!(view.listing("no_such_index", &columns).is_none());
    assert!(view.listing("category_page_by_price", &["no_such_column"]).is_none());
    stage.engine.stop().expect("stop");
}
