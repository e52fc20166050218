//! Which servers are trusted.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::invalid;

/// Trusts what the system trusts, and the certificates in a file.
pub fn tls(ca: Option<&Path>) -> std::io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut given = Vec::new();
    if let Some(path) = ca {
        for certificate in CertificateDer::pem_file_iter(path).map_err(invalid)? {
            let certificate = certificate.map_err(invalid)?;
            roots.add(certificate.clone()).map_err(invalid)?;
            given.push(certificate);
        }
    }
    let chains = WebPkiServerVerifier::builder(Arc::new(roots)).build().map_err(invalid)?;
    let trust = Arc::new(Trust { chains, given });
    Ok(ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(trust)
        .with_no_client_auth())
}

/// Beside whole chains, the very certificates that were given. openssl makes one that signed itself
/// an authority, which no server may be in a chain.
#[derive(Debug)]
struct Trust {
    chains: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.chains.verify_server_cert(server, between, name, ocsp, now) {
            // That it is an authority has no word of its own; that it has expired has, and is found
            // before.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.given.iter().any(|given| given == server) =>
            {
                verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}
