//! A broker that gives each request to a worker that is ready: ROUTER and ROUTER.
//!
//! Workers are REQ sockets: their first request says that they are ready, every other one brings a result,
//! and the reply to each is the next task. Clients are REQ sockets, too. Both are threads here, and could be
//! processes anywhere. `cargo run --example load_balancer` counts the words of this repository's files;
//! `-- FILE...` those of others.

use std::collections::VecDeque;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs, thread};

use peermq::{Context, Endpoint, Message, RecvError, Req, Router, RoutingId, wait_any};

const WORKERS: usize = 4;
const CLIENTS: usize = 3;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut files: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        files.extend(fs::read_dir(folder)?.flatten().map(|entry| entry.path()).filter(|path| path.is_file()));
    }
    let context = Context::new();
    let mut frontend = context.open::<Router>()?;
    let clients_at = frontend.bind("tcp://127.0.0.1:0")?.to_string().parse::<Endpoint>()?;
    let mut backend = context.open::<Router>()?;
    let workers_at = backend.bind("tcp://127.0.0.1:0")?.to_string().parse::<Endpoint>()?;

    let broker = thread::spawn(move || balance(&mut frontend, &mut backend));
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| (context.clone(), workers_at.clone(), number))
        .map(|(context, endpoint, number)| thread::spawn(move || work(&context, &endpoint, number)))
        .collect();
    let mut words = 0;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| files.iter().skip(client).step_by(CLIENTS))
            .map(|files| (context.clone(), clients_at.clone(), files))
            .map(|(context, endpoint, files)| scope.spawn(move || count_all(&context, &endpoint, files)))
            .collect();
        for client in clients {
            words += client.join().map_err(|_| "a client panicked")??;
        }
        Ok::<(), Failure>(())
    })?;
    context.shutdown(); // wakes the broker and the workers out of their calls
    broker.join().map_err(|_| "the broker panicked")??;
    let mut done = Vec::new();
    for worker in workers {
        done.push(worker.join().map_err(|_| "a worker panicked")??);
    }
    println!("{words} words in {} files; the workers had {done:?} of them", files.len());
    if done.iter().sum::<usize>() == files.len() { Ok(()) } else { Err("a file was lost or counted twice".into()) }
}

/// Hands requests to workers and results to clients until the context is shut down.
fn balance(frontend: &mut peermq::Socket<Router>, backend: &mut peermq::Socket<Router>) -> Result<(), Failure> {
    let mut ready: VecDeque<RoutingId> = VecDeque::new();
    loop {
        loop {
            // A REQ puts an empty frame between its address and its message.
            match backend.try_recv() {
                Ok((worker, message)) => {
                    let frames: Vec<_> = message.into_frames().skip(1).collect();
                    if let [client, result] = frames.as_slice() {
                        frontend.send_to(&RoutingId::from_frame(client), ["".into(), result.clone()])?;
                    }
                    ready.push_back(worker);
                }
                Err(RecvError::WouldBlock) => break,
                Err(_) => return Ok(()),
            }
        }
        // No worker, no task taken: requests wait in their clients' queues.
        while let Some(worker) = ready.front() {
            let Ok((client, request)) = frontend.try_recv() else { break };
            let Some(request) = request.into_frames().nth(1) else { continue };
            backend.send_to(worker, ["".into(), client.into(), request])?;
            ready.pop_front();
        }
        wait_any(&mut [frontend, backend], None);
    }
}

/// Counts the words of one file after the other; returns how many files it had.
fn work(context: &Context, broker: &Endpoint, number: usize) -> Result<usize, Failure> {
    let mut req = context.open::<Req>()?;
    req.connect(broker)?;
    let mut answer = Message::from("ready");
    let mut files = 0;
    loop {
        let Ok(task) = req.request(answer).map_err(|unsent| unsent.error).and_then(|reply| {
            reply.recv().map_err(|_| peermq::SendError::Terminated)
        }) else {
            return Ok(files);
        };
        let mut frames = task.into_frames();
        let (Some(client), Some(path)) = (frames.next(), frames.next()) else {
            return Err(format!("worker {number}: not a task").into());
        };
        let words = fs::read_to_string(path.to_str()?)?.split_whitespace().count();
        files += 1;
        answer = Message::from([client, words.to_string().into()]);
    }
}

/// Has every one of `files` counted; returns the sum.
fn count_all<'a>(
    context: &Context,
    broker: &Endpoint,
    files: impl Iterator<Item = &'a PathBuf>,
) -> Result<usize, Failure> {
    let mut req = context.open::<Req>()?;
    req.connect(broker)?;
    let mut words = 0;
    for file in files {
        let reply = req.request(file.to_string_lossy().into_owned())?.recv()?;
        words += reply.to_str()?.parse::<usize>()?;
    }
    Ok(words)
}
