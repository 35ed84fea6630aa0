//! Sorting by key, with the first bytes of each key at hand, so that few comparisons follow a pointer to a row.

/// Below this many items the keys themselves are compared: setting up costs more than it saves.
const FEW: usize = 16;

/// Sorts `items` by their encoded keys; items with equal keys stay in their order.
pub(super) fn sort_by_key<T>(items: &mut Vec<T>, key: impl Fn(&T) -> &[u8]) {
    if items.is_sorted_by(|a, b| key(a) <= key(b)) {
        return;
    }
    if items.len() < FEW {
        items.sort_by(|a, b| key(a).cmp(key(b)));
        return;
    }
    let mut order: Vec<(u128, u32)> = items.iter().zip(0..).map(|(item, at)| (beginning(key(item)), at)).collect();
    let rest = |at: u32| key(&items[at as usize]);
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| rest(a.1).cmp(rest(b.1)).then(a.1.cmp(&b.1))));
    let mut taken: Vec<Option<T>> = items.drain(..).map(Some).collect();
    items.extend(order.into_iter().filter_map(|(_, at)| taken[at as usize].take()));
}

/// The first bytes of a key, in their order.
fn beginning(key: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    let length = key.len().min(16);
    bytes[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_a_stable_sort() {
        let key = |number: usize| match number % 4 {
            0 => (number as u32 * 7919 % 50).to_be_bytes().to_vec(),
            1 => format!("a beginning of more than sixteen bytes {}", number % 9).into_bytes(),
            2 => vec![b'a'; number % 20],
            _ => vec![0; number % 20],
        };
        for length in [0, 1, 5, 15, 16, 300] {
            let mut items: Vec<(Vec<u8>, usize)> = (0..length).map(|number| (key(number), number)).collect();
            let mut expected = items.clone();
            expected.sort_by(|a, b| a.0.cmp(&b.0));
            sort_by_key(&mut items, |it| &it.0);
            assert_eq!(items, expected, "{length} items");
        }
    }
}
