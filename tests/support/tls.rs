//! TLS before a server of this process, with the certificate in tests/data/tls (of a certification authority that
//! nobody else trusts; its key was thrown away).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub fn authority() -> PathBuf {
    file("ca.pem")
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls")).join(name)
}

/// Listens until the process ends and hands one request of each connection to the plain server at `to`.
pub fn before(to: String) -> u16 {
    let certificate = CertificateDer::from_pem_file(file("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (config, to) = (Arc::clone(&config), to.clone());
            std::thread::spawn(move || {
                let session = ServerConnection::new(config).unwrap();
                // A client that does not trust the certificate hangs up: that is its right.
                let _ = relay(StreamOwned::new(session, client), &to);
            });
        }
    });
    port
}

/// Only requests without a body: one read has it all.
fn relay(mut client: StreamOwned<ServerConnection, TcpStream>, to: &str) -> std::io::Result<()> {
    let mut request = vec![0; 64 * 1024];
    let len = client.read(&mut request)?;
    let mut server = TcpStream::connect(to)?;
    server.write_all(&request[..len])?;
    server.shutdown(Shutdown::Write)?;
    let mut piece = vec![0; 64 * 1024];
    loop {
        match server.read(&mut piece)? {
            0 => break,
            len => client.write_all(&piece[..len])?,
        }
    }
    client.conn.send_close_notify();
    client.flush()
}
