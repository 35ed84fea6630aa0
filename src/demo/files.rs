//! The view files the demo serves: those of the repository's `views/`, carried inside the binary.

use std::io;
use std::path::Path;

const FILES: [(&str, &str); 7] = [
    ("shop.sql", include_str!("../../views/shop.sql")),
    ("product_card.sql", include_str!("../../views/product_card.sql")),
    ("category_page.sql", include_str!("../../views/category_page.sql")),
    ("bestsellers.sql", include_str!("../../views/bestsellers.sql")),
    ("low_stock.sql", include_str!("../../views/low_stock.sql")),
    ("brand_summary.sql", include_str!("../../views/brand_summary.sql")),
    ("customer_orders.sql", include_str!("../../views/customer_orders.sql")),
];

/// Writes the files into `directory`, which must exist.
pub fn write_views(directory: &Path) -> io::Result<()> {
    FILES.iter().try_for_each(|(name, text)| std::fs::write(directory.join(name), text))
}

/// The file that declares where the tables come from; the others read them.
pub(super) const DECLARATIONS: &str = "shop.sql";

/// The text of one of the files.
pub fn view_file(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(file, _)| *file == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_file_of_the_repository_is_carried() {
        let directory = tempfile::tempdir().unwrap();
        write_views(directory.path()).unwrap();
        let names = |directory: &Path| {
            let entries = std::fs::read_dir(directory).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("views");
        assert_eq!(names(&repository), names(directory.path()));
    }
}
