//! A bounded map that forgets what was not used lately.
//!
//! Two generations: a hit moves an entry into the young one; when that is full, by count or by bytes, it becomes the
//! old one and the old one is dropped. So every entry used within the last `capacity` distinct ones is kept while all
//! of them are small, and memory stays within twice the bytes of a generation.

use std::collections::HashMap;
use std::sync::Mutex;

/// The longest text that is kept; longer ones are rarely sent twice.
pub(crate) const MAX_KEY_BYTES: usize = 8 << 10;

/// Values by text.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    generations: Mutex<[Generation<V>; 2]>,
    capacity: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Generation<V> {
    entries: HashMap<String, (V, usize)>,
    bytes: usize,
}

impl<V> Default for Generation<V> {
    fn default() -> Generation<V> {
        Generation { entries: HashMap::new(), bytes: 0 }
    }
}

impl<V: Clone> Cache<V> {
    /// A cache whose generations hold `capacity` entries and `bytes` bytes each.
    pub(crate) fn new(capacity: usize, bytes: usize) -> Cache<V> {
        Cache { generations: Mutex::default(), capacity, bytes }
    }

    pub(crate) fn get(&self, key: &str) -> Option<V> {
        if key.len() > MAX_KEY_BYTES {
            return None;
        }
        let mut generations = self.generations.lock().unwrap_or_else(|it| it.into_inner());
        if let Some((value, _)) = generations[0].entries.get(key) {
            return Some(value.clone());
        }
        let (key, (value, size)) = generations[1].entries.remove_entry(key)?;
        generations[1].bytes -= size;
        self.put(&mut generations, key, value.clone(), size);
        Some(value)
    }

    /// Keeps `value`, which takes about `size` bytes with its key, unless it or the key is too large to keep.
    pub(crate) fn insert(&self, key: String, value: V, size: usize) {
        if key.len() > MAX_KEY_BYTES || size > self.bytes {
            return;
        }
        let mut generations = self.generations.lock().unwrap_or_else(|it| it.into_inner());
        self.put(&mut generations, key, value, size);
    }

    fn put(&self, generations: &mut [Generation<V>; 2], key: String, value: V, size: usize) {
        if generations[0].entries.len() >= self.capacity || generations[0].bytes + size > self.bytes {
            generations[1] = std::mem::take(&mut generations[0]);
        }
        let young = &mut generations[0];
        let replaced = young.entries.insert(key, (value, size)).map_or(0, |(_, size)| size);
        young.bytes = young.bytes + size - replaced;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let cache = Cache::new(10, 1000);
        for at in 0..100 {
            cache.insert(at.to_string(), at, 1);
            assert_eq!(cache.get("0"), Some(0));
            assert_eq!(cache.get(&at.to_string()), Some(at));
        }
        assert_eq!(cache.get("50"), None);
        let held: usize = cache.generations.lock().unwrap().iter().map(|it| it.entries.len()).sum();
        assert!(held <= 20);
    }

    #[test]
    fn bytes_are_bounded() {
        let cache = Cache::new(1000, 100);
        for at in 0..500 {
            cache.insert(at.to_string(), at, 1 + at % 60);
            cache.get(&(at / 2).to_string());
            let generations = cache.generations.lock().unwrap();
            for it in generations.iter() {
                assert!(it.bytes <= 100 && it.bytes == it.entries.values().map(|(_, size)| size).sum::<usize>());
            }
        }
        cache.insert("large".into(), 1, 101);
        assert_eq!(cache.get("large"), None);
        let long = "x".repeat(MAX_KEY_BYTES + 1);
        cache.insert(long.clone(), 1, 1);
        assert_eq!(cache.get(&long), None);
    }
}
