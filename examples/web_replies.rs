//! A web server whose answers come from a REP peer: axum, tokio and this library in the same tasks.
//!
//! `cargo run --example web_replies` counts words for whoever asks `http://127.0.0.1:PORT/count/some text`: asks
//! itself once, prints the answer and ends; with `-- --stay` it goes on.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use peermq::{Context, Endpoint, Rep, Req, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);

type Failure = Box<dyn Error + Send + Sync>;

/// One REQ for all visitors: who wants to ask waits until it is free.
type Counter = Arc<Mutex<Socket<Req>>>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let context = Context::new();
    let service = start_service(&context)?;
    let mut req = context.open::<Req>()?;
    req.connect(&service)?.wait_ready_async().await?;

    let app = Router::new().route("/count/{text}", get(count)).with_state(Arc::new(Mutex::new(req)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("http://{address}/count/some%20text");
    let server = tokio::spawn(async { axum::serve(listener, app).await });

    println!("{}", visit(&address.to_string(), "/count/three%20little%20words").await?);
    if env::args().any(|arg| arg == "--stay") {
        server.await??;
    }
    context.shutdown(); // ends the service
    Ok(())
}

/// Somebody who counts words, in a thread here, and it could be any program anywhere.
fn start_service(context: &Context) -> Result<Endpoint, Failure> {
    let mut rep = context.open::<Rep>()?;
    let endpoint = rep.bind("tcp://127.0.0.1:0")?.into();
    thread::spawn(move || {
        while let Ok(request) = rep.recv() {
            let words = String::from_utf8_lossy(request.message().body()).split_whitespace().count();
            let _ = request.reply(words.to_string()); // fails only after a shutdown
        }
    });
    Ok(endpoint)
}

/// Answers one visitor. Whoever leaves, or waits for too long, drops a `Reply`, which gives the request up.
async fn count(State(counter): State<Counter>, Path(text): Path<String>) -> Result<String, StatusCode> {
    let mut req = counter.lock().await;
    let answer = async {
        let mut reply = req.request_async(text).await.map_err(|unsent| unsent.error.to_string())?;
        let reply = reply.recv_async().await.map_err(|error| error.to_string())?;
        Ok::<_, String>(format!("{} words", String::from_utf8_lossy(reply.body())))
    };
    match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(StatusCode::SERVICE_UNAVAILABLE),
        Err(_) => Err(StatusCode::GATEWAY_TIMEOUT),
    }
}

/// Asks a web server, as a browser does; returns the last line of its answer.
async fn visit(address: &str, path: &str) -> Result<String, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
    if !answer.starts_with("HTTP/1.1 200") {
        return Err(answer.into());
    }
    Ok(answer.lines().last().unwrap_or_default().to_owned())
}
