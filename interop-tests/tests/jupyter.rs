//! A real program: a Jupyter kernel, driven over its five sockets by a client that knows the kernel protocol 5 of
//! Jupyter and has nothing but this library below it. The kernel is ipykernel, on pyzmq and libzmq.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use interop_tests::raw::{DEADLINE, Transport};
use interop_tests::{tally, theirs};
use peermq::{Context, Dealer, Message, Req, RoutingId, Socket, Sub};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;

const KEY: &str = "a key that only this client and its kernel know";

/// What stands between routing ids and the message.
const DELIMITER: &[u8] = b"<IDS|MSG>";

/// The kernel, in a process of its own. Killed when dropped.
struct Kernel {
    process: Child,
    /// Where it finds, and puts, everything.
    directory: TempDir,
}

impl Kernel {
    /// Starts it; with tcp it looks for free ports itself.
    fn start(transport: Transport) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (name, ip, port) = match transport {
            Transport::Ipc => ("ipc", directory.path().join("kernel").display().to_string(), 1),
            Transport::Tcp => ("tcp", String::from("127.0.0.1"), 0),
        };
        let ports = if port == 0 { [0; 5] } else { [1, 2, 3, 4, 5] };
        let connection = json!({
            "transport": name, "ip": ip, "key": KEY, "signature_scheme": "hmac-sha256",
            "shell_port": ports[0], "control_port": ports[1], "stdin_port": ports[2], "iopub_port": ports[3],
            "hb_port": ports[4],
        });
        let file = directory.path().join("connection.json");
        fs::write(&file, connection.to_string()).unwrap();
        let process = theirs::python()
            .args(["-m", "ipykernel_launcher", "-f"])
            .arg(&file)
            .envs(["HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"].map(|name| (name, directory.path())))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { process, directory }
    }

    /// Where its sockets are: what it says in its connection file.
    fn endpoint(&self, socket: &str) -> String {
        let connection = eventually("a connection file with ports", || {
            // Being written, it is not there, or no JSON.
            let text = fs::read(self.directory.path().join("connection.json")).ok()?;
            let connection: Value = serde_json::from_slice(&text).ok()?;
            (connection["hb_port"] != 0).then_some(connection)
        });
        let [transport, ip] = ["transport", "ip"].map(|name| connection[name].as_str().unwrap());
        let separator = if transport == "tcp" { ":" } else { "-" };
        format!("{transport}://{ip}{separator}{}", connection[format!("{socket}_port")])
    }

    /// It ends by itself, and what it complained about.
    fn finish(mut self) -> String {
        let status = eventually("the end of the kernel", || self.process.try_wait().unwrap());
        assert!(status.success(), "{status}");
        let mut complaints = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        complaints
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // An error says that it has ended.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// The client: it has one socket for each of the kernel's.
struct Client {
    shell: Socket<Dealer>,
    control: Socket<Dealer>,
    stdin: Socket<Dealer>,
    iopub: Socket<Sub>,
    heartbeat: Socket<Req>,
    /// How many messages were sent before.
    sent: u32,
    /// And exchanged in all, with a signature that is right.
    exchanged: usize,
}

impl Client {
    fn connect(kernel: &Kernel) -> Self {
        let context = Context::builder().io_threads(1).build();
        // The kernel asks on stdin whoever asked on shell: they must have the same name.
        let dealer = |name: &str| {
            let builder = context.builder_for::<Dealer>().send_timeout(DEADLINE).recv_timeout(DEADLINE);
            let mut socket = builder.routing_id(RoutingId::new("a client").unwrap()).open().unwrap();
            socket.connect(&kernel.endpoint(name)[..]).unwrap();
            socket
        };
        let mut iopub = context.builder_for::<Sub>().recv_timeout(DEADLINE).open().unwrap();
        iopub.subscribe("").unwrap();
        iopub.connect(&kernel.endpoint("iopub")[..]).unwrap();
        let mut heartbeat = context.builder_for::<Req>().open().unwrap();
        heartbeat.connect(&kernel.endpoint("hb")[..]).unwrap();
        let [shell, control, stdin] = ["shell", "control", "stdin"].map(dealer);
        Self { shell, control, stdin, iopub, heartbeat, sent: 0, exchanged: 0 }
    }

    /// The next message: its header and its frames, which are signed with this key.
    fn write(&mut self, key: &str, kind: &str, content: &Value) -> (Value, Message) {
        self.sent += 1;
        let header = json!({
            "msg_id": format!("message {}", self.sent), "session": "a session", "username": "somebody",
            "date": "2026-11-21T00:00:00Z", "msg_type": kind, "version": "5.3",
        });
        let parts = [&header, &json!({}), &json!({}), content].map(|part| part.to_string().into_bytes());
        let signature = sign(key, parts.iter().map(Vec::as_slice));
        let frames = [DELIMITER, signature.as_bytes()].into_iter().chain(parts.iter().map(Vec::as_slice));
        (header, Message::from_frames(frames).unwrap())
    }

    /// Asks on shell; the header by which the answers can be known.
    fn ask(&mut self, kind: &str, content: &Value) -> Value {
        let (header, message) = self.write(KEY, kind, content);
        self.shell.send(message).unwrap();
        self.exchanged += 1;
        header
    }

    /// The answer on shell.
    fn answer(&mut self, header: &Value, kind: &str) -> Value {
        let reply = read(&self.shell.recv().unwrap());
        self.exchanged += 1;
        assert_eq!((&reply.parent, reply.kind()), (header, kind));
        reply.content
    }

    /// What is published about a request, to the end: what kind of messages, with what they say.
    fn published(&mut self, header: &Value) -> Vec<(String, Value)> {
        let mut published = Vec::new();
        loop {
            let news = read(&self.iopub.recv().unwrap());
            self.exchanged += 1;
            // What was asked for before may still be on its way.
            if news.parent == *header {
                let is_end = news.content["execution_state"] == "idle";
                published.push((news.kind().to_owned(), news.content));
                if is_end {
                    return published;
                }
            }
        }
    }

    /// Executes it; what is published meanwhile, but for what is with every request: busy, the input, idle.
    fn execute(&mut self, code: &str) -> (Value, Vec<(String, Value)>) {
        let request = json!({"code": code, "silent": false, "store_history": true, "allow_stdin": true});
        let header = self.ask("execute_request", &request);
        if code.starts_with("input(") {
            self.type_in("ada");
        }
        let mut published = self.published(&header);
        let (idle, busy, input) = (published.pop().unwrap(), published.remove(0), published.remove(0));
        assert_eq!(busy, ("status".to_owned(), json!({"execution_state": "busy"})));
        assert_eq!((&input.0[..], &input.1["code"]), ("execute_input", &json!(code)));
        assert_eq!(idle, ("status".to_owned(), json!({"execution_state": "idle"})));
        (self.answer(&header, "execute_reply"), published)
    }

    /// Ends the kernel.
    fn shut_down(&mut self) {
        let (header, message) = self.write(KEY, "shutdown_request", &json!({"restart": false}));
        self.control.send(message).unwrap();
        let reply = read(&self.control.recv().unwrap());
        assert_eq!((&reply.parent, reply.kind()), (&header, "shutdown_reply"));
        self.exchanged += 2;
    }

    /// Waits until the kernel asks for input.
    fn type_in(&mut self, value: &str) {
        let question = read(&self.stdin.recv().unwrap());
        assert_eq!((question.kind(), &question.content["prompt"]), ("input_request", &json!("who? ")));
        let (_, message) = self.write(KEY, "input_reply", &json!({"value": value}));
        self.stdin.send(message).unwrap();
        self.exchanged += 2;
    }

    /// Asks for the kernel's name until what it publishes is heard, too: that it has begun to publish is all that
    /// it tells of a subscription.
    fn wait_for_iopub(&mut self) -> Value {
        let until = Instant::now() + DEADLINE;
        loop {
            let header = self.ask("kernel_info_request", &json!({}));
            let info = self.answer(&header, "kernel_info_reply");
            if let Ok(first) = self.iopub.recv_timeout(Duration::from_millis(100)) {
                _ = read(&first);
                self.exchanged += 1;
                return info;
            }
            assert!(Instant::now() < until, "nothing is published");
        }
    }
}

/// What a kernel has said, with a signature that is right.
struct Said {
    header: Value,
    parent: Value,
    content: Value,
}

impl Said {
    fn kind(&self) -> &str {
        self.header["msg_type"].as_str().unwrap()
    }
}

fn read(message: &Message) -> Said {
    let frames: Vec<&[u8]> = message.frames().map(|frame| frame.as_bytes()).collect();
    let at = frames.iter().position(|frame| *frame == DELIMITER).unwrap();
    let parts = &frames[at + 2..at + 6];
    assert_eq!(frames[at + 1], sign(KEY, parts.iter().copied()).as_bytes());
    let [header, parent, content] = [0, 1, 3].map(|part| serde_json::from_slice(parts[part]).unwrap());
    Said { header, parent, content }
}

fn sign<'a>(key: &str, parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    parts.for_each(|part| mac.update(part));
    mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect()
}

fn eventually<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn count(transport: Transport, pattern: &str, messages: usize) {
    let transport = if transport == Transport::Tcp { "tcp" } else { "ipc" };
    tally::count("ipykernel", pattern, transport, "both, they bind", messages);
}

fn kernel_runs_what_it_is_told(transport: Transport) {
    let kernel = Kernel::start(transport);
    let mut client = Client::connect(&kernel);
    let beat = client.heartbeat.request("still there?").unwrap().recv_timeout(DEADLINE).unwrap();
    assert_eq!(beat, "still there?");

    let info = client.wait_for_iopub();
    assert_eq!((&info["status"], &info["implementation"]), (&json!("ok"), &json!("ipython")));

    let (reply, published) = client.execute("6*7");
    assert_eq!((&reply["status"], &reply["execution_count"]), (&json!("ok"), &json!(1)));
    let [(kind, result)] = &published[..] else { panic!("{published:?}") };
    assert_eq!((&kind[..], &result["data"]["text/plain"]), ("execute_result", &json!("42")));

    let (reply, published) = client.execute("for number in range(3000): print(number)");
    assert_eq!(reply["status"], "ok");
    let printed: String = published.iter().map(|(_, content)| content["text"].as_str().unwrap()).collect();
    assert!(printed.lines().eq((0..3000).map(|number| number.to_string())), "{printed}");

    let (_, published) = client.execute("input('who? ') + '!' * 100_000");
    let result = published.last().unwrap().1["data"]["text/plain"].as_str().unwrap();
    assert!(result == format!("'ada{}'", "!".repeat(100_000)));

    let (reply, published) = client.execute("6/0");
    assert_eq!((&reply["status"], &reply["ename"]), (&json!("error"), &json!("ZeroDivisionError")));
    assert_eq!(published[0].0, "error");

    client.shut_down();
    let complaints = kernel.finish();
    assert!(complaints.lines().all(|line| line.contains("without encryption")), "{complaints}");
    count(transport, "kernel and client", client.exchanged + 2);
}

#[test]
fn a_kernel_runs_what_it_is_told_over_tcp() {
    kernel_runs_what_it_is_told(Transport::Tcp);
}

#[test]
fn a_kernel_runs_what_it_is_told_over_ipc() {
    kernel_runs_what_it_is_told(Transport::Ipc);
}

#[test]
fn a_kernel_does_not_answer_a_message_with_a_wrong_signature() {
    let kernel = Kernel::start(Transport::Tcp);
    let mut client = Client::connect(&kernel);
    client.wait_for_iopub();
    for key in ["another key", ""] {
        let (_, forged) = client.write(key, "kernel_info_request", &json!({}));
        client.shell.send(forged).unwrap();
    }
    // Had they been answered, that would come first.
    let header = client.ask("kernel_info_request", &json!({}));
    client.answer(&header, "kernel_info_reply");
    client.shut_down();
    let complaints = kernel.finish();
    assert_eq!(complaints.matches("Invalid Signature").count(), 2, "{complaints}");
    count(Transport::Tcp, "kernel and forger", client.exchanged);
}
