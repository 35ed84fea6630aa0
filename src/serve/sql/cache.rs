//! A bounded map that forgets what was not used lately.
//!
//! Two generations: a hit moves an entry into the young one; when that is full it becomes the old one and the old
//! one is dropped. So every entry used within the last `capacity` distinct ones is kept, at the cost of a hash map.

use std::collections::HashMap;
use std::sync::Mutex;

/// Values by text.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    generations: Mutex<[HashMap<String, V>; 2]>,
    capacity: usize,
}

impl<V: Clone> Cache<V> {
    pub(crate) fn new(capacity: usize) -> Cache<V> {
        Cache { generations: Mutex::default(), capacity }
    }

    pub(crate) fn get(&self, key: &str) -> Option<V> {
        let mut generations = self.generations.lock().unwrap_or_else(|it| it.into_inner());
        if let Some(value) = generations[0].get(key) {
            return Some(value.clone());
        }
        let (key, value) = generations[1].remove_entry(key)?;
        self.put(&mut generations, key, value.clone());
        Some(value)
    }

    pub(crate) fn insert(&self, key: String, value: V) {
        let mut generations = self.generations.lock().unwrap_or_else(|it| it.into_inner());
        self.put(&mut generations, key, value);
    }

    fn put(&self, generations: &mut [HashMap<String, V>; 2], key: String, value: V) {
        if generations[0].len() >= self.capacity {
            generations[1] = std::mem::take(&mut generations[0]);
        }
        generations[0].insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let cache = Cache::new(10);
        for at in 0..100 {
            cache.insert(at.to_string(), at);
            assert_eq!(cache.get("0"), Some(0));
            assert_eq!(cache.get(&at.to_string()), Some(at));
        }
        assert_eq!(cache.get("50"), None);
        let held: usize = cache.generations.lock().unwrap().iter().map(HashMap::len).sum();
        assert!(held <= 20);
    }
}
