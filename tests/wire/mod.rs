//! What goes over the wire to the API server and what becomes of its answers, against a scripted in-process service.

mod apply;
mod delete;
mod events;
mod hash_key;
mod heal;
mod lease;
mod namespace;
mod reading;
mod script;
mod status;
