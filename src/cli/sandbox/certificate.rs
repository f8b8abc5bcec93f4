//! The certificate of the sandbox's API server: made at each start, by an authority that signs nothing else.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;

use crate::cli::error::CommandError;

/// What the server shows, and what its clients check it by.
pub(super) struct Certificate {
    /// For the server. HTTP/1.1 is all that it speaks.
    pub(super) server: Arc<ServerConfig>,
    /// The authority's certificate, as PEM.
    pub(super) authority: String,
}

impl Certificate {
    /// A new one, for 127.0.0.1 and localhost. The authority's key is forgotten.
    pub(super) fn new() -> Result<Self, CommandError> {
        make().map_err(|error| CommandError::failure(format_args!("a certificate can't be made: {error}")))
    }
}

fn make() -> Result<Certificate, Box<dyn std::error::Error>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "driftless sandbox");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

    let mut params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "driftless sandbox API server");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;

    let private = PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private.into())?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Certificate { server: Arc::new(server), authority: issuer.pem() })
}
