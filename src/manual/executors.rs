//! Sockets in tasks: any executor, any event loop.
//!
//! What may wait has a form that ends in `_async`, and returns a future: [`send_async`](crate::Socket::send_async),
//! [`recv_async`](crate::Socket::recv_async), [`send_to_async`](crate::Socket::send_to_async),
//! [`request_async`](crate::Socket::request_async), [`wait_ready_async`](crate::Connection::wait_ready_async),
//! [`wait_for_subscribers_async`](crate::Socket::wait_for_subscribers_async),
//! [`wait_subscribed_async`](crate::Socket::wait_subscribed_async), [`close_async`](crate::Socket::close_async) and
//! more. A [`SharedSocket`](crate::SharedSocket) has them for many tasks at a time, a [`Monitor`](crate::Monitor) for
//! [events](crate::Monitor::recv_async). They need nothing of an executor but that it polls a task again whose
//! [`Waker`](std::task::Waker) was called, so there is no runtime to choose and none among the dependencies; tokio,
//! smol and `futures::executor` are tested. The feature `futures` makes sockets a `Stream` and a `Sink` as well, and
//! turns monitors into a `Stream`.
//!
//! ```
//! use peermq::{Context, Rep, Req};
//!
//! let context = Context::new();
//! let mut rep = context.open::<Rep>()?;
//! let endpoint = rep.bind("tcp://127.0.0.1:0")?;
//! let mut req = context.open::<Req>()?;
//! req.connect(&endpoint)?;
//!
//! let server = async {
//!     let request = rep.recv_async().await?;
//!     request.reply("pong")?;
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! };
//! let client = async {
//!     let mut reply = req.request_async("ping").await?;
//!     assert_eq!(reply.recv_async().await?, "pong");
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! };
//! let (served, asked) = futures::executor::block_on(futures::future::join(server, client));
//! served?;
//! asked?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds for all of them
//!
//! * They are `Send`, as sockets are: a task may go from thread to thread.
//! * They are cancel-safe. A message is taken, or queued, in the poll that is ready, and in no other; a future that is
//!   dropped before, in `select!` or by a timeout, has done nothing. A dropped send drops its message with it: who may
//!   have to try again sends a reference to it, or a clone.
//! * The timeouts of a socket do not apply. A timeout is a future that is dropped, and executors have their own.
//! * While a future is pending the I/O threads read and write for it. One that finds what it wants does so itself in
//!   the same poll, and writes at once when its peer waits.
//! * They give way: after 128 results in a row on one thread a future is pending once, whatever there is, and has woken
//!   its task already. So a task that receives as fast as a peer sends leaves its turn to the others of its executor.
//! * A socket, as a `Stream` in one task and as a `Sink` in another one, wakes each of them for what it waits for.
//! * A waker is called while its thread holds no lock of this library. So an executor may run the task in the waker, and
//!   the task may call anything; on an I/O thread it must not wait.
//! * The destructor of a message's body runs where the last of it goes, which may be in a call of a shared socket: it
//!   must not use a handle of that socket, which would wait for itself.
//! * Blocking calls and futures may be mixed on one socket, in turn; on a shared one, at the same time.
//! * Those who wait for a shared socket are served in their order. A future that was polled once has its place, and
//!   keeps those behind it waiting: poll it on, or drop it.
//!
//! What does not wait needs no such form: `reply`, [`bind`](crate::Socket::bind) to an address, and
//! [`connect`](crate::Socket::connect). A drop of the last handle of a [`Context`](crate::Context) may wait for messages
//! that linger: in a task, [`close_async`](crate::Socket::close_async) comes first. On an I/O thread of that context it
//! does not wait: what lingers is sent behind it, and what was not is told of in the end.
