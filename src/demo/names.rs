//! Names for products, brands, categories and people: made up from parts, always the same for the same number.

#[rustfmt::skip]
const KINDS: [&str; 40] = [
    "Headphones", "Keyboards", "Monitors", "Cameras", "Lenses", "Tripods", "Speakers", "Turntables", "Routers",
    "Chargers", "Backpacks", "Suitcases", "Tents", "Sleeping Bags", "Stoves", "Lanterns", "Boots", "Jackets", "Gloves",
    "Helmets", "Bicycles", "Saddles", "Pumps", "Kettles", "Toasters", "Blenders", "Knives", "Pans", "Lamps", "Desks",
    "Chairs", "Shelves", "Rugs", "Pillows", "Blankets", "Drills", "Saws", "Ladders", "Hoses", "Planters",
];
#[rustfmt::skip]
const LINES: [&str; 12] = [
    "Everyday", "Travel", "Studio", "Outdoor", "Compact", "Professional", "Classic", "Junior", "Workshop", "Garden",
    "City", "Winter",
];
#[rustfmt::skip]
const ADJECTIVES: [&str; 16] = [
    "Light", "Quiet", "Solid", "Swift", "Bright", "Foldable", "Wireless", "Slim", "Heavy", "Warm", "Sturdy", "Smart",
    "Plain", "Bold", "Soft", "Sharp",
];
#[rustfmt::skip]
const SYLLABLES: [&str; 20] = [
    "Al", "Bor", "Cal", "Dan", "El", "Fen", "Gar", "Hol", "Is", "Jor", "Kel", "Lun", "Mar", "Nor", "Os", "Per", "Quin",
    "Ros", "Sol", "Tor",
];
#[rustfmt::skip]
const ENDINGS: [&str; 10] = ["a", "en", "ix", "o", "um", "ara", "et", "is", "wick", "stad"];
#[rustfmt::skip]
const COUNTRIES: [&str; 10] = ["DE", "FR", "IT", "SE", "PL", "ES", "US", "JP", "KR", "NL"];
#[rustfmt::skip]
const CITIES: [&str; 8] = ["Utrecht", "Lyon", "Gdańsk", "Malmö", "Porto", "Graz", "Cork", "Turin"];
#[rustfmt::skip]
const FIRST: [&str; 16] = [
    "Ada", "Bo", "Carla", "Dmitri", "Eva", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Katja", "Luis", "Mina", "Nils",
    "Olga", "Pablo",
];
#[rustfmt::skip]
const TITLES: [&str; 12] = [
    "Does what it should", "Better than expected", "Would buy again", "Not for me", "Good value", "Broke after a week",
    "Exactly as described", "A gift, well received", "Too loud", "Solid", "Meh", "Excellent",
];

/// Appends a number where the parts are used up, so that names stay unique.
fn numbered(text: String, round: usize) -> String {
    if round == 0 { text } else { format!("{text} {}", round + 1) }
}

fn pick<'a>(list: &[&'a str], index: usize) -> &'a str {
    list[index % list.len()]
}

fn index(id: i64) -> usize {
    usize::try_from(id - 1).unwrap_or(0)
}

/// A category's name.
pub(super) fn category(id: i64) -> String {
    let at = index(id);
    let (kind, line) = (pick(&KINDS, at), pick(&LINES, at / KINDS.len()));
    numbered(format!("{line} {kind}"), at / (KINDS.len() * LINES.len()))
}

/// A brand's name.
pub(super) fn brand(id: i64) -> String {
    let at = index(id);
    let (first, ending) = (pick(&SYLLABLES, at), pick(&ENDINGS, at / SYLLABLES.len()));
    numbered(format!("{first}{ending}"), at / (SYLLABLES.len() * ENDINGS.len()))
}

/// A brand's country.
pub(super) fn country(id: i64) -> &'static str {
    pick(&COUNTRIES, index(id) * 7)
}

/// A product's name, of any edition (renaming makes the next one).
pub(super) fn product(id: i64, category: i64, edition: i64) -> String {
    let kind = pick(&KINDS, index(category)).trim_end_matches('s');
    let name = format!("{} {kind} {}", pick(&ADJECTIVES, index(id) * 11 / 3), 100 + id % 9000);
    if edition == 0 { name } else { format!("{name} Mk {edition}") }
}

/// A stock keeping unit.
pub(super) fn sku(id: i64) -> String {
    format!("SKU-{id:07}")
}

/// A customer's name.
pub(super) fn customer(id: i64) -> String {
    let at = index(id);
    format!("{} {}{}", pick(&FIRST, at), pick(&SYLLABLES, at / 16), pick(&ENDINGS, at / 7))
}

/// A customer's city.
pub(super) fn city(id: i64) -> &'static str {
    pick(&CITIES, index(id) * 5)
}

/// A review's title.
pub(super) fn title(index: usize) -> &'static str {
    pick(&TITLES, index)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_of_unique_columns_are_unique() {
        assert_eq!((1..=4000).map(category).collect::<HashSet<_>>().len(), 4000);
        assert_eq!((1..=2000).map(brand).collect::<HashSet<_>>().len(), 2000);
    }
}
