use super::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";

/// An authority: its certificate, and what it signs with.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, uuid::Uuid::now_v7().to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn intermediate(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "intermediate");
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A server for 127.0.0.1, valid until the end of a year.
    fn server(&self, until: i32) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 12, 31);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (certificate, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    fn trust(&self, pins: &[Pin]) -> Trust {
        Trust { pins: pins.to_vec(), roots: vec![self.certificate.to_vec()] }
    }
}

fn pin(certificate: &CertificateDer<'_>) -> Pin {
    Pin::of(certificate).unwrap()
}

/// What a client with this trust gets from a server with this chain, and how many bytes of HTTP
/// the server saw.
async fn call(
    trust: &Trust,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> (Result<u16, String>, usize) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else { return 0 };
        let mut bytes = [0; 4_096];
        let seen = stream.read(&mut bytes).await.unwrap_or(0);
        let _ = stream.write_all(ANSWER).await;
        let _ = stream.shutdown().await;
        seen
    };
    tokio::join!(get(trust, address), server)
}

async fn get(trust: &Trust, address: SocketAddr) -> Result<u16, String> {
    let config = client_config(trust).unwrap();
    let client =
        reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap();
    let answer = client.get(format!("https://{address}/")).send().await;
    answer.map(|answer| answer.status().as_u16()).map_err(|error| format!("{error:?}"))
}

fn check_refused((answer, seen): (Result<u16, String>, usize), reason: &str) {
    let error = answer.unwrap_err();
    assert!(error.contains(reason), "{error}");
    assert_eq!(seen, 0, "HTTP left the device");
}

#[tokio::test]
async fn s4_a_valid_chain_passes_and_its_pins() {
    let root = Authority::new();
    let middle = root.intermediate();
    let (leaf, key) = middle.server(2100);
    let other = pin(&Authority::new().certificate);
    let pins = [vec![], vec![pin(&leaf)], vec![other, pin(&middle.certificate)]];
    for pins in pins {
        let chain = vec![leaf.clone(), middle.certificate.clone()];
        let (answer, seen) = call(&root.trust(&pins), chain, key.clone_key()).await;
        assert_eq!(answer, Ok(204), "{pins:?}");
        assert!(seen > 0);
    }
}

#[tokio::test]
async fn a_wrong_pin_is_refused_before_any_byte_of_http() {
    let root = Authority::new();
    let middle = root.intermediate();
    let (leaf, key) = middle.server(2100);
    let trust = root.trust(&[pin(&Authority::new().certificate)]);
    let chain = vec![leaf, middle.certificate];
    check_refused(call(&trust, chain, key).await, "ApplicationVerificationFailure");
}

#[tokio::test]
async fn a_pinned_certificate_that_merely_lies_beside_the_path_proves_nothing() {
    let root = Authority::new();
    let pinned = root.intermediate();
    let (leaf, key) = root.server(2100);
    let trust = root.trust(&[pin(&pinned.certificate)]);
    let chain = vec![leaf, pinned.certificate];
    check_refused(call(&trust, chain, key).await, "ApplicationVerificationFailure");
}

#[tokio::test]
async fn a_pin_does_not_replace_the_rest() {
    let root = Authority::new();
    let (leaf, key) = root.server(2001);
    let trust = root.trust(&[pin(&leaf)]);
    check_refused(call(&trust, vec![leaf], key).await, "Expired");
    let stranger = Authority::new();
    let (leaf, key) = stranger.server(2100);
    let trust = root.trust(&[pin(&leaf)]);
    check_refused(call(&trust, vec![leaf], key).await, "UnknownIssuer");
}

#[tokio::test]
async fn tls_1_1_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 4_096];
        assert!(stream.read(&mut hello).await.unwrap() > 0);
        // A ServerHello of TLS 1.1 (RFC 4346, section 7.4.1.3): TLS_RSA_WITH_AES_128_CBC_SHA.
        let mut body = vec![3, 2];
        body.extend([7; 32]);
        body.extend([0, 0, 0x2f, 0]);
        let mut record = vec![22, 3, 2, 0, (body.len() + 4) as u8, 2, 0, 0, body.len() as u8];
        record.extend(body);
        stream.write_all(&record).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        rest
    };
    let trust = Authority::new().trust(&[]);
    let (answer, rest) = tokio::join!(get(&trust, address), server);
    assert!(answer.is_err());
    // An alert, fatal, protocol_version (RFC 8446, section 6), and nothing else.
    assert_eq!((rest.first(), rest.get(5..7)), (Some(&21), Some([2, 70].as_slice())));
}

#[test]
fn pins_are_written_as_in_rfc_7469() {
    // The example of section 2.1.5, with the prefix of curl.
    let text = "sha256/d6qzRu9zOECb90Uez27xWltNsj0e1Md7GkYYkVoZWmM=";
    assert_eq!(text.parse::<Pin>().unwrap().to_string(), text);
    for bad in ["", "sha256/", "sha256/AAAA", "sha1/d6qzRu9zOECb90Uez27xWltNsj0e1Md7GkYYkVoZWmM="] {
        assert!(bad.parse::<Pin>().unwrap_err().to_string().contains("is no pin"), "{bad}");
    }
}

#[test]
fn roots_come_as_pem_or_der_and_a_bad_one_is_named() {
    let root = Authority::new();
    let pem = format!(
        "my root\n-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        BASE64.encode(&root.certificate)
    );
    let good = vec![root.certificate.to_vec(), pem.into_bytes()];
    assert!(client_config(&Trust { pins: vec![], roots: good.clone() }).is_ok());
    for bad in
        [&b"nonsense"[..], b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", b""]
    {
        let roots = [&good[..], &[bad.to_vec()]].concat();
        let error = client_config(&Trust { pins: vec![], roots }).unwrap_err().to_string();
        assert!(error.starts_with("root certificate 3:"), "{error}");
    }
}
