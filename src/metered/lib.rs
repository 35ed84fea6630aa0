//! A global allocator that knows, thread by thread, how many bytes were taken and not given back.
//!
//! It lies around another allocator and adds to a number of the thread that asks: no lock, no atomic. Bytes that one
//! thread takes and another gives back count for the first and against the second; who hands memory over on purpose
//! says so with [`hand_over`].

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

thread_local! {
    static BALANCE: Cell<i64> = const { Cell::new(0) };
}

/// An allocator whose bytes are counted.
#[derive(Debug, Default)]
pub struct Metered<A>(A);

impl<A> Metered<A> {
    /// Counts what `inner` gives and takes back.
    pub const fn new(inner: A) -> Metered<A> {
        Metered(inner)
    }
}

/// The bytes this thread has taken less those it has given back. It stays 0 where the allocator is not installed.
#[inline]
pub fn balance() -> i64 {
    BALANCE.get()
}

/// Counts `bytes` as given back by this thread: another one will free them.
#[inline]
pub fn hand_over(bytes: usize) {
    add(-signed(bytes));
}

#[inline]
fn add(bytes: i64) {
    BALANCE.set(BALANCE.get().wrapping_add(bytes));
}

#[inline]
fn signed(bytes: usize) -> i64 {
    // No allocation is larger than isize::MAX.
    bytes as i64
}

// SAFETY: every call goes to the inner allocator with the very arguments it came with, and the number counted beside it
// lies in a thread-local cell that needs neither allocation nor destructor.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Metered<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(signed(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { self.0.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-signed(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(signed(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        add(signed(new_size) - signed(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { self.0.realloc(pointer, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;

    #[global_allocator]
    static ALLOCATOR: Metered<System> = Metered::new(System);

    #[test]
    fn a_thread_knows_what_it_holds() {
        let before = balance();
        let mut held = vec![0u8; 1000];
        assert_eq!(balance() - before, 1000);
        held.reserve_exact(4000);
        assert_eq!(balance() - before, held.capacity() as i64);
        std::thread::spawn(|| assert!(balance() < 100_000)).join().unwrap();
        hand_over(held.capacity());
        let handed_over = balance();
        std::thread::spawn(move || drop(held)).join().unwrap();
        assert!((balance() - handed_over).abs() < 1000);
    }
}
