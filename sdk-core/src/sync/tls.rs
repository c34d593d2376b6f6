//! TLS 1.2 and later through rustls with ring; whom to trust is the platform's word, roots of one's
//! own where given, and pins on top.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use protocol::digest::Digest;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use rustls_platform_verifier::Verifier;
use std::{fmt, str::FromStr, sync::Arc};
use thiserror::Error as ThisError;

const PREFIX: &str = "sha256/";

/// A public key that the server's chain must hold: the SHA-256 of a certificate's
/// SubjectPublicKeyInfo (RFC 7469, section 2.4), written `sha256/BASE64`.
///
/// Pin two at least, one of them of a key kept in reserve: a device whose pins no longer match has
/// no other way to the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin(Digest);

/// What to trust besides what the platform trusts.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// With pins, a chain must hold one of these keys, besides being valid.
    pub pins: Vec<Pin>,
    /// Root certificates of one's own: each file's content, PEM (any number) or DER (one).
    pub roots: Vec<Vec<u8>>,
}

/// Why TLS cannot be set up.
#[derive(Debug, Clone, ThisError)]
pub enum TlsError {
    /// Not a pin.
    #[error("{0:?} is no pin: write sha256/ and the base64 of the 32 bytes of a SHA-256")]
    Pin(String),
    /// Not a root certificate.
    #[error("root certificate {place}: neither PEM nor DER of a certificate ({reason})")]
    Root {
        /// Which of those given, from 1.
        place: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// What the platform says.
    #[error("the platform's certificates cannot be used: {0}; install them, or give roots")]
    Platform(Error),
}

impl Pin {
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let parsed = ParsedCertificate::try_from(certificate).ok()?;
        Some(Self(Digest::of(parsed.subject_public_key_info().as_ref())))
    }
}

impl FromStr for Pin {
    type Err = TlsError;

    fn from_str(text: &str) -> Result<Self, TlsError> {
        let bytes = text.strip_prefix(PREFIX).and_then(|base64| BASE64.decode(base64).ok());
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(|bytes| Self(Digest(bytes))).ok_or_else(|| TlsError::Pin(text.into()))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64.encode(self.0.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The client's side of TLS.
///
/// # Errors
/// [`TlsError`] names what cannot be used.
pub(super) fn client_config(trust: &Trust) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Pinned {
        platform: platform(&provider, trust.roots.is_empty())?,
        own: own(&provider, &trust.roots)?,
        pins: trust.pins.clone(),
        provider: Arc::clone(&provider),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Platform)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The platform's verifier. A machine without any certificates is fine where roots are given.
fn platform(
    provider: &Arc<CryptoProvider>,
    needed: bool,
) -> Result<Option<Arc<dyn ServerCertVerifier>>, TlsError> {
    match Verifier::new(Arc::clone(provider)) {
        Ok(verifier) => Ok(Some(Arc::new(verifier))),
        Err(error) if needed => Err(TlsError::Platform(error)),
        Err(_) => Ok(None),
    }
}

fn own(
    provider: &Arc<CryptoProvider>,
    files: &[Vec<u8>],
) -> Result<Option<Arc<dyn ServerCertVerifier>>, TlsError> {
    let mut roots = RootCertStore::empty();
    for (place, file) in (1..).zip(files) {
        let bad = |reason: String| TlsError::Root { place, reason };
        let certificates = certificates(file).map_err(bad)?;
        for certificate in certificates {
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
    }
    Ok(if roots.is_empty() { None } else { webpki(roots, provider) })
}

fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    const PEM_MARK: &[u8] = b"-----BEGIN";
    if !file.windows(PEM_MARK.len()).any(|bytes| bytes == PEM_MARK) {
        return Ok(vec![CertificateDer::from(file.to_vec())]);
    }
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(file).collect();
    let all = all.map_err(|error| error.to_string())?;
    if all.is_empty() { Err("it holds no certificate".into()) } else { Ok(all) }
}

fn webpki(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Option<Arc<dyn ServerCertVerifier>> {
    let provider = Arc::clone(provider);
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.ok().map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
}

/// Valid by the platform or by our own roots; and, with pins, on a path through a pinned key.
#[derive(Debug)]
struct Pinned {
    platform: Option<Arc<dyn ServerCertVerifier>>,
    own: Option<Arc<dyn ServerCertVerifier>>,
    pins: Vec<Pin>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    /// What the first verifier says that does not refuse; else the error that says most.
    fn valid(
        &self,
        verify: impl Fn(&dyn ServerCertVerifier) -> Result<ServerCertVerified, Error>,
    ) -> Result<ServerCertVerified, Error> {
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let mut refused = unknown.clone();
        for verifier in [&self.own, &self.platform].into_iter().flatten() {
            match verify(verifier.as_ref()) {
                Ok(valid) => return Ok(valid),
                Err(error) if refused == unknown => refused = error,
                Err(_) => {}
            }
        }
        Err(refused)
    }

    fn is_pinned(&self, certificate: &CertificateDer<'_>) -> bool {
        Pin::of(certificate).is_some_and(|pin| self.pins.contains(&pin))
    }

    /// A verifier that trusts the pinned certificates among those presented, and nothing else. A
    /// certificate that merely lies beside the path, which anybody can present, proves nothing.
    fn through_pins(
        &self,
        presented: &[CertificateDer<'_>],
    ) -> Option<Arc<dyn ServerCertVerifier>> {
        let mut anchors = RootCertStore::empty();
        let pinned = presented.iter().filter(|certificate| self.is_pinned(certificate));
        anchors.add_parsable_certificates(pinned.map(|c| c.clone().into_owned()));
        if anchors.is_empty() { None } else { webpki(anchors, &self.provider) }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let valid = self.valid(|verifier| {
            verifier.verify_server_cert(leaf, intermediates, server, ocsp, now)
        })?;
        if self.pins.is_empty() || self.is_pinned(leaf) {
            return Ok(valid);
        }
        let unpinned = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        self.through_pins(intermediates)
            .ok_or(unpinned.clone())?
            .verify_server_cert(leaf, intermediates, server, ocsp, now)
            .map_err(|_| unpinned)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
