//! The HTTP clients of all repositories.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use super::super::credentials::{Credentials, Secret};
use super::super::fault::{Fault, causes, detail};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection that was unused for so long is closed: servers close theirs soon after, and then a request is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Connections kept for each host.
const IDLE_CONNECTIONS: usize = 4;
/// Ways to set up a client that are remembered.
const MAX_CLIENTS: usize = 32;

/// One client for each way in which TLS and the proxy are set up, on one network thread: to set up TLS means to read all
/// certificates of the system, and costs more than a listing of refs.
#[derive(Default)]
pub(in super::super) struct Clients {
    state: Mutex<State>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    /// Made when the first client is.
    runtime: Option<Runtime>,
    /// The one used last is the last.
    known: Vec<(Setup, reqwest::Client)>,
}

/// What of the credentials belongs to the connection. User and password belong to each request.
#[derive(Clone, PartialEq, Eq)]
struct Setup {
    ca: Option<String>,
    client_certificate: Option<(String, Secret)>,
    insecure: bool,
    proxy: Option<Secret>,
    no_proxy: Option<String>,
}

impl Clients {
    /// The client for these credentials, and the runtime to use it on.
    pub(super) fn get(&self, credentials: &Credentials) -> Result<(Handle, reqwest::Client), Fault> {
        let mut state = self.lock();
        let handle = state.handle()?;
        let setup = Setup::of(credentials);
        let known = state.known.iter().position(|(known, _)| *known == setup);
        let (setup, client) = match known {
            Some(at) => state.known.remove(at),
            None => {
                let client = setup.client()?;
                (setup, client)
            }
        };
        if state.known.len() >= MAX_CLIENTS {
            state.known.remove(0);
        }
        state.known.push((setup, client.clone()));
        Ok((handle, client))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn handle(&mut self) -> Result<Handle, Fault> {
        if let Some(runtime) = &self.runtime {
            return Ok(runtime.handle().clone());
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("git-http").enable_all().build();
        let runtime = runtime.map_err(|error| Fault::Disk(format!("no network thread: {error}")))?;
        Ok(self.runtime.insert(runtime).handle().clone())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // A name look-up that hangs must not hold up the caller, which may be async code.
        if let Some(runtime) = self.lock().runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Setup {
    fn of(credentials: &Credentials) -> Self {
        Self {
            ca: credentials.ca.clone(),
            client_certificate: credentials.client_certificate.clone(),
            insecure: credentials.insecure,
            proxy: credentials.proxy.clone(),
            no_proxy: credentials.no_proxy.clone(),
        }
    }

    fn client(&self) -> Result<reqwest::Client, Fault> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("git/driftless-", env!("CARGO_PKG_VERSION")))
            .tls_danger_accept_invalid_certs(self.insecure);
        if let Some(ca) = &self.ca {
            let certificates = reqwest::Certificate::from_pem_bundle(ca.as_bytes()).unwrap_or_default();
            if certificates.is_empty() {
                return Err(Fault::Certificate("ca.crt holds no certificate in PEM form".into()));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some((certificate, key)) = &self.client_certificate {
            let pem = format!("{certificate}\n{}", key.expose());
            let identity = reqwest::Identity::from_pem(pem.as_bytes()).map_err(|_| {
                Fault::Certificate(
                    "tlsClientCertData and tlsClientCertKey are not a certificate and a key in PEM form".into(),
                )
            })?;
            builder = builder.identity(identity);
        }
        if let Some(proxy) = &self.proxy {
            let no_proxy = self.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
            let proxy = reqwest::Proxy::all(proxy.expose())
                .map_err(|_| Fault::Unsupported("the proxy in the repository's Secret is not a URL".into()))?;
            builder = builder.proxy(proxy.no_proxy(no_proxy));
        }
        builder.build().map_err(|error| Fault::Certificate(format!("TLS can't be set up: {}", detail(&causes(&error)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_serves_all_who_connect_alike_and_few_are_remembered() {
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clients = Clients::default();
        let known = || clients.lock().known.len();
        let user = |name: String| Credentials { username: Some(name), ..Credentials::default() };
        for number in 0..3 {
            clients.get(&user(number.to_string())).unwrap();
        }
        assert_eq!(known(), 1);
        clients.get(&Credentials { insecure: true, ..Credentials::default() }).unwrap();
        assert_eq!(known(), 2);
        for port in 0..2 * MAX_CLIENTS {
            let proxy = Some(Secret::new(format!("http://127.0.0.1:{}", 1000 + port)));
            clients.get(&Credentials { proxy, ..Credentials::default() }).unwrap();
        }
        assert_eq!(known(), MAX_CLIENTS);
    }
}
