//! What tests of several subjects need.

pub(crate) mod control_plane;
pub(crate) mod proxy;
pub(crate) mod request;
