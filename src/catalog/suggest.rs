//! "Did you mean …?": the known name nearest to a mistyped one, by edit distance.

/// A hint naming the candidate that differs from `name` by at most a third of its letters.
pub(crate) fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted = name.to_lowercase();
    let limit = (wanted.chars().count() / 3).max(1);
    let near = candidates.into_iter().map(|it| (distance(&wanted, &it.to_lowercase()), it));
    let best = near.filter(|(distance, _)| *distance <= limit).min()?;
    Some(format!("did you mean \"{}\"?", best.1))
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let replaced = above[j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut cost = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                cost = cost.min(before[j - 2] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_far_ones_are_not() {
        let names = ["products", "product_card", "price"];
        assert_eq!(did_you_mean("prodcuts", names).as_deref(), Some("did you mean \"products\"?"));
        assert_eq!(did_you_mean("prise", names).as_deref(), Some("did you mean \"price\"?"));
        assert_eq!(did_you_mean("warehouse", names), None);
    }
}
