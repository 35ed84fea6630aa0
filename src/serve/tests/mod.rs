//! The endpoints over a real listener: bytes out, bytes in.

mod errors;
pub(super) mod fixture;
mod health;
mod hostile;
mod lists;
mod overload;
mod rows;
mod sql;

#[global_allocator]
static ALLOCATOR: metered::Metered<mimalloc::MiMalloc> = metered::Metered::new(mimalloc::MiMalloc);
