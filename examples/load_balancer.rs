//! A broker that gives each request to a worker that is free: ROUTER and ROUTER.
//!
//! Workers are REQ sockets: their first request says that they are there, every other one brings a result, and
//! the reply to each is the next task. Clients are REQ sockets, too. Both are threads here, and could be
//! processes anywhere. `cargo run --example load_balancer` counts the words of this library's files, `-- FILE...`
//! those of others.

use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs, thread};

use peermq::{Context, Endpoint, Interest, Message, Poller, RecvError, Req, Router, RoutingId, Socket};

const WORKERS: usize = 4;
const CLIENTS: usize = 3;

/// What a worker says that has not had a task yet.
const FREE: &str = "free";

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut files: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        files.extend(fs::read_dir(folder)?.flatten().map(|entry| entry.path()).filter(|path| path.is_file()));
    }
    let context = Context::new();
    let mut frontend = context.open::<Router>()?;
    let to_broker = frontend.bind("tcp://127.0.0.1:0")?;
    let mut backend = context.open::<Router>()?;
    let for_workers = backend.bind("tcp://127.0.0.1:0")?;
    println!("{to_broker} is for clients, {for_workers} for workers");

    let (words, done) = thread::scope(|scope| {
        let broker = scope.spawn(|| balance(frontend, backend));
        let workers = [(); WORKERS].map(|()| scope.spawn(|| work(&context, &for_workers)));
        let shares = files.chunks(files.len().div_ceil(CLIENTS));
        let clients: Vec<_> =
            shares.map(|files| scope.spawn(|| count_all(&context, &to_broker, files))).collect();
        let words: Result<Vec<_>, _> = clients.into_iter().map(join).collect();
        context.shutdown(); // ends the calls in which the broker and the workers wait
        join(broker)?;
        let done: Result<Vec<_>, _> = workers.into_iter().map(join).collect();
        Ok::<_, Failure>((words?, done?))
    })?;
    let words: usize = words.iter().sum();
    println!("{words} words in {} files, of which the workers counted {done:?}", files.len());
    if done.iter().sum::<usize>() != files.len() {
        return Err("a file was not counted exactly once".into());
    }
    Ok(())
}

/// Hands requests to free workers, and results to clients, until the context is shut down.
fn balance(mut frontend: Socket<Router>, mut backend: Socket<Router>) -> Result<(), Failure> {
    let mut poller = Poller::new();
    poller.add(&mut frontend, Interest::READABLE, ())?;
    poller.add(&mut backend, Interest::READABLE, ())?;
    let mut free: VecDeque<RoutingId> = VecDeque::new();
    let mut busy: HashSet<RoutingId> = HashSet::new();
    loop {
        // A request for which nobody is free stays where it is: without a free worker only results are awaited.
        while let Some(worker) = free.front() {
            let Ok((client, request)) = frontend.try_recv() else { break };
            // A REQ sends an empty frame before its message, and wants one before the reply.
            if let Some(request) = request.into_frames().nth(1) {
                backend.send_to(worker, ["".into(), client.into(), request])?;
                busy.extend(free.pop_front());
            }
        }
        match if free.is_empty() { backend.recv() } else { backend.try_recv() } {
            Ok((worker, message)) => {
                // Who sends anything else is no worker, and gets no task; it must not end the broker.
                let frames: Vec<_> = message.into_frames().collect();
                let is_free = match frames.as_slice() {
                    [_, word] => word == FREE,
                    [_, client, result] if busy.remove(&worker) => match RoutingId::from_received(client) {
                        Ok(client) => {
                            frontend.send_to(&client, ["".into(), result.clone()])?;
                            true
                        }
                        Err(_) => false,
                    },
                    _ => false,
                };
                if is_free && !free.contains(&worker) {
                    free.push_back(worker);
                }
            }
            Err(RecvError::WouldBlock) => {
                poller.wait(None)?;
            }
            Err(_) => return Ok(()),
        }
    }
}

/// Counts the words of one file after the other until the context is shut down; returns of how many files.
fn work(context: &Context, broker: &Endpoint) -> Result<usize, Failure> {
    let mut req = context.open::<Req>()?;
    req.connect(broker)?;
    let mut answer = Message::from(FREE);
    let mut files = 0;
    loop {
        let Ok(reply) = req.request(answer) else { return Ok(files) };
        let Ok(task) = reply.recv() else { return Ok(files) };
        let path = task.frame(1).and_then(|path| path.to_str().ok()).unwrap_or_default();
        let result = match fs::read(path) {
            Ok(text) => String::from_utf8_lossy(&text).split_whitespace().count().to_string(),
            Err(error) => error.to_string(),
        };
        answer = Message::from([task.body(), result.as_bytes()]); // the first frame is whose task it is
        files += 1;
    }
}

/// Has every one of `files` counted; returns the sum.
fn count_all(context: &Context, broker: &Endpoint, files: &[PathBuf]) -> Result<usize, Failure> {
    let mut req = context.open::<Req>()?;
    req.connect(broker)?;
    let mut words = 0;
    for file in files {
        let reply = req.request(file.to_string_lossy().into_owned())?.recv()?;
        let count = reply.to_str()?;
        words += count.parse::<usize>().map_err(|_| format!("{}: {count}", file.display()))?;
    }
    Ok(words)
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, Result<T, Failure>>) -> Result<T, Failure> {
    thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))
}
