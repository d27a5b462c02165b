//! Models of a hub, from a local server that implements the part of its protocol that the
//! client needs: a list of files, and byte ranges of them.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use crate::support::Hostler;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// The SHA-256 of `CONTENT`, by which the hub names a large file.
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const CONTENT: &str = "abc";

/// Serves one repository with one file while the test runs. Returns the URL.
fn hub(etag: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || answer(&connection, etag));
        }
    });
    format!("http://{address}")
}

fn answer(connection: &TcpStream, etag: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection).lines();
    let mut connection = connection;
    loop {
        let Some(request) = lines.next().transpose()? else { return Ok(()) };
        let mut range = None;
        while let Some(header) = lines.next().transpose()? {
            if header.is_empty() {
                break;
            }
            if let Some(bytes) = header.to_ascii_lowercase().strip_prefix("range: bytes=") {
                range = bytes.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok())));
            }
        }
        let (status, extra, body) = if request.contains("/api/models/owner/name/") {
            ("200 OK", String::new(), format!(r#"{{"sha": "{COMMIT}", "siblings": [{{"rfilename": "m.gguf"}}]}}"#))
        } else if request.contains(&format!("/owner/name/resolve/{COMMIT}/m.gguf")) {
            let (from, to): (usize, Option<usize>) = range.unwrap_or((0, None));
            let to = to.unwrap_or(CONTENT.len() - 1).min(CONTENT.len() - 1);
            let headers = format!(
                "x-repo-commit: {COMMIT}\r\netag: \"{etag}\"\r\ncontent-range: bytes {from}-{to}/{}\r\n",
                CONTENT.len()
            );
            ("206 Partial Content", headers, CONTENT[from..=to].to_owned())
        } else {
            ("404 Not Found", String::new(), String::new())
        };
        write!(connection, "HTTP/1.1 {status}\r\n{extra}content-length: {}\r\n\r\n{body}", body.len())?;
    }
}

#[test]
fn a_model_is_pulled_recorded_and_found_without_the_hub() {
    let hostler = Hostler::new().with("HF_ENDPOINT", &hub(SHA256));
    let ended = hostler.run(&["model", "pull", "owner/name", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let pulled: serde_json::Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    assert_eq!(pulled["source"], format!("hub:owner/name@{COMMIT}"));
    assert_eq!(pulled["files"][0]["sha256"], SHA256);

    let ended = hostler.run(&["model", "path", "owner/name"]);
    assert_eq!(std::fs::read_to_string(ended.stdout.trim()).expect("it is there"), CONTENT);
    assert!(hostler.run(&["model", "list"]).stdout.contains("owner/name"));
}

#[test]
fn a_file_with_another_checksum_is_refused() {
    let wrong = "00000000000000000000000000000000000000000000000000000000000000ff";
    let hostler = Hostler::new().with("HF_ENDPOINT", &hub(wrong));
    let ended = hostler.run(&["model", "pull", "owner/name"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("corrupt") && ended.stderr.contains("m.gguf"), "{ended:?}");
    assert_eq!(hostler.run(&["model", "path", "owner/name"]).code, Some(1));
}

#[test]
fn a_file_that_the_hub_lacks_is_named() {
    let hostler = Hostler::new().with("HF_ENDPOINT", &hub(SHA256));
    let ended = hostler.run(&["model", "pull", "owner/other"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("owner/other") && ended.stderr.contains("404"), "{ended:?}");
    let ended = hostler.run(&["model", "pull", "owner/name:other.gguf"]);
    assert!(ended.stderr.contains("other.gguf") && ended.stderr.contains("m.gguf"), "{ended:?}");
}
