//! HTTP: health, metrics, and the read-only API, on axum. Reads the published view; knows neither store nor cluster.
