//! A strategy in Rust on the HTTP API: a dead man's switch for its orders, and a cancel with proof.
//!
//!     rustc --edition 2021 -o strategy ops/examples/strategy.rs
//!     CANCEL_WORKER_TOKEN=… ./strategy ACCOUNT ORDER_ID …
//!
//! It guards the orders until it reads the line "done", cancels the first one then, and disarms.
//! If it is killed, or hangs, workers cancel all of them at the deadline.
//!
//! It needs no crate, and speaks plain HTTP to this machine. A real strategy has a client with
//! TLS and a JSON parser, such as ureq and serde_json, in place of `call` and `field`.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, process, thread};

/// Heartbeats in one timeout.
const BEATS: u64 = 4;
const ANSWER_S: u64 = 70;

/// Why a call has no result. `status` is 0 if no whole answer arrived.
struct Problem {
    status: u16,
    detail: String,
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Problem { status: 0, detail: error.to_string() }
    }
}

struct Client {
    host: String,
    token: String,
}

impl Client {
    /// Call the API; return the JSON text of its answer.
    fn call(&self, method: &str, path: &str, body: &str, key: &str) -> Result<String, Problem> {
        let mut stream = TcpStream::connect(&self.host)?;
        stream.set_read_timeout(Some(Duration::from_secs(ANSWER_S)))?;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Connection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            self.host,
            self.token,
            body.len()
        );
        if !key.is_empty() {
            head += &format!("Idempotency-Key: {key}\r\n");
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let cut = || Problem { status: 0, detail: "the answer was cut".into() };
        let (head, answer) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
        let status: u16 = head.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or_else(cut)?;
        if status < 300 {
            return Ok(answer.to_string());
        }
        Err(Problem { status, detail: field(answer, "detail") })
    }

    /// Repeat a call that may have been lost on its way; only where a repetition is safe.
    fn surely(&self, method: &str, path: &str, body: &str, key: &str) -> Result<String, Problem> {
        loop {
            match self.call(method, path, body, key) {
                Err(problem) if problem.status == 0 || problem.status == 503 => {
                    eprintln!("again in 1 s: {}", problem.detail);
                    thread::sleep(Duration::from_secs(1));
                }
                done => return done,
            }
        }
    }
}

/// The value of a field of a JSON object: a text without escapes, or a number.
fn field(json: &str, name: &str) -> String {
    let Some((_, rest)) = json.split_once(&format!("\"{name}\":")) else {
        return String::new();
    };
    let rest = rest.trim_start();
    match rest.strip_prefix('"') {
        Some(text) => text.split('"').next().unwrap_or_default().to_string(),
        None => rest.split([',', '}']).next().unwrap_or_default().trim().to_string(),
    }
}

/// A key that no other run has.
fn unique() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    format!("{}-{}", process::id(), since.as_nanos())
}

/// A text as JSON; order ids and aliases have no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn run(client: Arc<Client>, account: &str, orders: &[String]) -> Result<bool, Problem> {
    let given = env::var("TIMEOUT_MS").ok().and_then(|it| it.parse().ok());
    let timeout_ms: u64 = given.unwrap_or(30_000);
    let account = quoted(account);
    let ids: Vec<String> = orders.iter().map(|it| quoted(it)).collect();
    let scope = format!(
        "{{\"account\": {account}, \"order_ids\": [{}], \"timeout_ms\": {timeout_ms}, \
         \"clear_wait_ms\": 10000}}",
        ids.join(", ")
    );
    let held = client.surely("POST", "/v1/switches", &scope, &unique())?;
    let (id, epoch) = (field(&held, "id"), field(&held, "epoch"));
    println!("armed {id}, held by {}", field(&held, "held"));

    let (stop, stopped) = channel::<()>();
    let beating = thread::spawn({
        let (client, path) = (client.clone(), format!("/v1/switches/{id}/beat"));
        let holder = format!("{{\"epoch\": {epoch}}}");
        move || loop {
            match client.call("POST", &path, &holder, "") {
                // Tripped, replaced or disarmed: a later heartbeat would not help.
                Err(problem) if [404, 409].contains(&problem.status) => return Err(problem),
                Err(problem) => eprintln!("heartbeat: {}", problem.detail),
                Ok(_) => (),
            }
            match stopped.recv_timeout(Duration::from_millis(timeout_ms / BEATS)) {
                Err(RecvTimeoutError::Timeout) => (),
                _ => return Ok(()),
            }
        }
    });

    for line in io::stdin().lines() {
        if line.map_or(true, |text| text == "done") {
            break;
        }
    }
    let order = format!("{{\"account\": {account}, \"order_id\": {}}}", ids[0]);
    let job = client.surely("POST", "/v1/cancels", &order, "")?;
    let path = format!("/v1/jobs/{}?wait_ms=60000", field(&job, "id"));
    let ended = client.surely("GET", &path, "", "")?;
    println!("{}: {} {}", orders[0], field(&ended, "state"), field(&ended, "outcome"));

    drop(stop);
    beating.join().expect("the heartbeats end")?;
    client.surely("DELETE", &format!("/v1/switches/{id}?epoch={epoch}"), "", "")?;
    println!("disarmed");
    Ok(field(&ended, "state") == "done")
}

fn main() {
    let address = env::var("CANCEL_WORKER_URL").unwrap_or("http://127.0.0.1:9480".into());
    let mut named = env::args().skip(1);
    let (token, account) = (env::var("CANCEL_WORKER_TOKEN"), named.next());
    let orders: Vec<String> = named.collect();
    let (Ok(token), Some(account), false) = (token, account, orders.is_empty()) else {
        eprintln!("usage: CANCEL_WORKER_TOKEN=… strategy ACCOUNT ORDER_ID …");
        process::exit(2);
    };
    let host = address.trim_start_matches("http://").trim_end_matches('/').to_string();
    match run(Arc::new(Client { host, token }), &account, &orders) {
        Ok(done) => process::exit(i32::from(!done)),
        Err(problem) => {
            eprintln!("{} ({})", problem.detail, problem.status);
            process::exit(1);
        }
    }
}
