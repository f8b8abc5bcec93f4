//! Reading: discovery, watches, lists, Applications, repository Secrets.

mod applications;
mod discovery;
mod failures;
mod list;
mod repositories;
mod server;
mod watch;
