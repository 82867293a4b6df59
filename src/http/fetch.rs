//! A small client: one GET of something small, with bounds on size and time. Redirects are not followed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Duplex;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No `http` or `https` URL with a host.
    #[error("expected an http or https URL with a host")]
    Url,
    /// The host cannot be reached, or is not the one it says it is.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The URL's host is none that a certificate can be for.
    #[error(transparent)]
    Name(#[from] InvalidDnsNameError),
    /// The answer is not HTTP/1.1.
    #[error("the answer is not understood: {0}")]
    Http(#[from] hyper::Error),
    /// Another answer than 200; redirects are not followed.
    #[error("the answer is {0}")]
    Status(StatusCode),
    /// The body is too long or breaks off.
    #[error("the answer's body: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

/// Fetches over HTTP/1.1, each time by a connection of its own. Clones are the same.
#[derive(Clone, Debug)]
pub struct Client {
    tls: Arc<ClientConfig>,
    max_len: usize,
    timeout: Duration,
}

impl Client {
    /// Trusts what the system trusts, or `SSL_CERT_FILE` and `SSL_CERT_DIR` where these are set. Bodies are at most `max_len`
    /// bytes long, and everything together takes at most `timeout`.
    pub fn new(max_len: usize, timeout: Duration) -> Self {
        Self::trusting(system_roots(), max_len, timeout)
    }

    /// Trusts these.
    pub fn trusting(roots: RootCertStore, max_len: usize, timeout: Duration) -> Self {
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Self { tls: Arc::new(tls), max_len, timeout }
    }

    /// Fetches what is there.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch(&self, url: &Uri) -> Result<Bytes, FetchError> {
        let fetched = timeout(self.timeout, self.try_fetch(url)).await;
        fetched.unwrap_or(Err(FetchError::Timeout(self.timeout)))
    }

    async fn try_fetch(&self, url: &Uri) -> Result<Bytes, FetchError> {
        let authority = url.authority().ok_or(FetchError::Url)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let (is_secure, port) = match url.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            _ => return Err(FetchError::Url),
        };
        let port = authority.port_u16().unwrap_or(port);
        let stream = connect(host, port).await?;
        let io: Box<dyn Duplex> = if is_secure {
            let name = ServerName::try_from(host.to_owned())?;
            Box::new(TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?)
        } else {
            Box::new(stream)
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        // User information of a URL is nobody's business: only host and port are named.
        let named = authority.as_str().rsplit('@').next().unwrap_or_default();
        let request = Request::get(path)
            .header(HOST, named)
            .header(USER_AGENT, concat!("onair/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json")
            .body(Empty::<Bytes>::new())
            .map_err(|_| FetchError::Url)?;
        let answered = async {
            let answer = sender.send_request(request).await?;
            if answer.status() != StatusCode::OK {
                return Err(FetchError::Status(answer.status()));
            }
            let body = Limited::new(answer.into_body(), self.max_len).collect().await;
            body.map(|body| body.to_bytes()).map_err(FetchError::Body)
        };
        tokio::pin!(answered);
        tokio::select! {
            answer = &mut answered => answer,
            // The connection may end before the last of the body is looked at.
            ended = connection => match ended {
                Ok(()) => answered.await,
                Err(error) => Err(error.into()),
            },
        }
    }
}

/// Certificates that the system trusts, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR` where these are set.
pub fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

/// Connects to the first of a host's addresses that answers.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    TcpStream::connect(&addresses[..]).await
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    fn client(roots: RootCertStore) -> Client {
        Client::trusting(roots, 20, Duration::from_secs(20))
    }

    /// Reads one request's head and answers it; gives the head.
    async fn answer(mut io: impl AsyncRead + AsyncWrite + Unpin, answer: &str) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(io.read_u8().await.unwrap().into());
        }
        io.write_all(answer.as_bytes()).await.unwrap();
        io.shutdown().await.unwrap();
        head
    }

    async fn fetched(path: &str, reply: &str) -> (Result<Bytes, FetchError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://me@{}{path}", listener.local_addr().unwrap()).parse().unwrap();
        let client = client(RootCertStore::empty());
        tokio::join!(client.fetch(&url), async { answer(listener.accept().await.unwrap().0, reply).await })
    }

    #[tokio::test]
    async fn what_is_there_is_fetched_whole() {
        let (body, head) = fetched("/keys?a=b", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
        assert_eq!(body.unwrap(), "hello");
        assert!(head.starts_with("GET /keys?a=b HTTP/1.1\r\nhost: 127.0.0.1:"), "{head}");
        assert!(!head.contains("me@"), "{head}");
        let (body, _) = fetched("", "HTTP/1.1 200 OK\r\n\r\nto the end").await;
        assert_eq!(body.unwrap(), "to the end");
    }

    #[tokio::test]
    async fn what_is_too_long_or_elsewhere_or_broken_off_is_not_taken() {
        let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n{}", "x".repeat(21));
        assert!(matches!(fetched("/", &long).await.0, Err(FetchError::Body(_))));
        let elsewhere = "HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n";
        assert!(matches!(fetched("/", elsewhere).await.0, Err(FetchError::Status(StatusCode::FOUND))));
        let short = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello";
        assert!(fetched("/", short).await.0.is_err());
        for url in ["/keys", "file://host/etc/passwd", "ftp://127.0.0.1/"] {
            let refused = client(RootCertStore::empty()).fetch(&url.parse().unwrap()).await;
            assert!(matches!(refused, Err(FetchError::Url)), "{url}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let refused = client(RootCertStore::empty()).fetch(&url).await;
        assert!(matches!(refused, Err(FetchError::Timeout(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn only_hosts_with_a_trusted_certificate_are_believed() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let certificate = made.cert.der().clone();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
            }
        });
        assert!(matches!(client(RootCertStore::empty()).fetch(&url).await, Err(FetchError::Io(_))));
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        assert_eq!(client(roots).fetch(&url).await.unwrap(), "ok");
        serving.abort();
    }
}
