//! The same sockets in tasks of several executors, which know nothing of them.

use std::error::Error;
use std::thread;
use std::time::Duration;

use futures::future::join;
use peermq::{Context, Dealer, Pull, Push, Rep, Req, Router, Socket};

type Failure = Box<dyn Error + Send + Sync>;

const COUNT: u32 = 1_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// A service that answers so many requests with their doubles.
async fn double(mut rep: Socket<Rep>, count: u32) -> Result<(), Failure> {
    for _ in 0..count {
        let request = rep.recv_async().await?;
        let number: u32 = request.message().to_str()?.parse()?;
        request.reply((number * 2).to_string())?;
    }
    Ok(())
}

async fn ask(mut req: Socket<Req>, count: u32) -> Result<(), Failure> {
    for number in 0..count {
        let mut reply = req.request_async(number.to_string()).await?;
        assert_eq!(reply.recv_async().await?, (number * 2).to_string().as_str());
    }
    Ok(())
}

async fn send_all(mut push: Socket<Push>) -> Result<Socket<Push>, Failure> {
    for number in 0..COUNT {
        push.send_async(&number.to_be_bytes()).await?;
    }
    Ok(push)
}

async fn recv_all(mut pull: Socket<Pull>) -> Result<(), Failure> {
    for number in 0..COUNT {
        assert_eq!(pull.recv_async().await?, &number.to_be_bytes()[..]);
    }
    Ok(())
}

fn pipeline(context: &Context, endpoint: &str) -> Result<(Socket<Push>, Socket<Pull>), Failure> {
    let mut pull = context.builder_for::<Pull>().recv_hwm(10).open()?;
    let endpoint = pull.bind(endpoint)?;
    let mut push = context.builder_for::<Push>().send_hwm(10).open()?;
    push.connect(&endpoint)?;
    Ok((push, pull))
}

fn service(context: &Context, endpoint: &str) -> Result<(Socket<Rep>, Socket<Req>), Failure> {
    let mut rep = context.open::<Rep>()?;
    let endpoint = rep.bind(endpoint)?;
    let mut req = context.open::<Req>()?;
    req.connect(&endpoint)?;
    Ok((rep, req))
}

/// Both, one task for all of it: an executor with one thread must not be blocked by any of them.
async fn all_in_one(context: Context) -> Result<(), Failure> {
    for endpoint in ["tcp://127.0.0.1:0", "inproc://all"] {
        let (push, pull) = pipeline(&context, endpoint)?;
        let (sent, received) = join(send_all(push), recv_all(pull)).await;
        sent?;
        received?;
        let endpoint = endpoint.replace("all", "service");
        let (rep, req) = service(&context, &endpoint)?;
        let (answered, asked) = join(double(rep, COUNT), ask(req, COUNT)).await;
        answered?;
        asked?;
    }
    Ok(())
}

#[test]
fn futures_block_on() -> Result<(), Failure> {
    futures::executor::block_on(all_in_one(Context::new()))
}

#[test]
fn smol_block_on() -> Result<(), Failure> {
    smol::block_on(all_in_one(Context::new()))
}

#[test]
fn smol_tasks_on_several_threads() -> Result<(), Failure> {
    let context = Context::new();
    let (push, pull) = pipeline(&context, "tcp://127.0.0.1:0")?;
    let (rep, req) = service(&context, "tcp://127.0.0.1:0")?;
    smol::block_on(async {
        let sender = smol::spawn(send_all(push));
        let server = smol::spawn(double(rep, COUNT));
        let client = smol::spawn(ask(req, COUNT));
        recv_all(pull).await?;
        sender.await?;
        client.await?;
        server.await
    })
}

#[tokio::test]
async fn tokio_on_one_thread() -> Result<(), Failure> {
    all_in_one(Context::new()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn tokio_on_several_threads() -> Result<(), Failure> {
    let context = Context::new();
    let (push, pull) = pipeline(&context, "tcp://127.0.0.1:0")?;
    let (rep, req) = service(&context, "tcp://127.0.0.1:0")?;
    let tasks =
        [tokio::spawn(double(rep, COUNT)), tokio::spawn(ask(req, COUNT)), tokio::spawn(recv_all(pull))];
    send_all(push).await?;
    for task in tasks {
        task.await??;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn tokio_with_a_hundred_sockets() -> Result<(), Failure> {
    let context = Context::new();
    let mut router = context.open::<Router>()?;
    let endpoint = router.bind("tcp://127.0.0.1:0")?;
    let clients: Vec<_> = (0..100_u32)
        .map(|number| {
            let (context, endpoint) = (context.clone(), endpoint.clone());
            tokio::spawn(async move {
                let mut dealer = context.open::<Dealer>()?;
                dealer.connect(&endpoint)?;
                for _ in 0..20 {
                    dealer.send_async(number.to_string()).await?;
                    assert_eq!(dealer.recv_async().await?, number.to_string().as_str());
                }
                Ok::<(), Failure>(())
            })
        })
        .collect();
    for _ in 0..2_000 {
        let (client, message) = router.recv_async().await?;
        router.send_to_async(&client, message).await?;
    }
    for client in clients {
        client.await??;
    }
    Ok(())
}

#[tokio::test]
async fn select_drops_what_is_not_ready_and_loses_nothing() -> Result<(), Failure> {
    let context = Context::new();
    let (push, mut pull) = pipeline(&context, "tcp://127.0.0.1:0")?;
    let sender = thread::spawn(move || {
        futures::executor::block_on(send_all(push)).map(drop).map_err(|error| error.to_string())
    });
    let mut ticks = tokio::time::interval(Duration::from_micros(100));
    let (mut next, mut ticked) = (0_u32, 0_u32);
    while next < COUNT {
        tokio::select! {
            biased;
            _ = ticks.tick() => ticked += 1,
            message = pull.recv_async() => {
                assert_eq!(message?, &next.to_be_bytes()[..]);
                next += 1;
            }
        }
    }
    assert!(ticked > 0);
    Ok(sender.join().map_err(|_| "the sender panicked")??)
}

#[tokio::test]
async fn the_timeouts_of_an_executor_apply() -> Result<(), Failure> {
    let (_push, mut pull) = pipeline(&Context::new(), "tcp://127.0.0.1:0")?;
    let nothing = tokio::time::timeout(Duration::from_millis(1), pull.recv_async()).await;
    assert!(nothing.is_err());
    let closed = tokio::time::timeout(PATIENCE, pull.close_async(Duration::ZERO)).await;
    assert_eq!(closed?.unreceived, 0);
    Ok(())
}
