use std::error::Error;

use super::*;

/// What somebody prints who prints the whole chain.
fn chain(error: &dyn Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        texts.push(error.to_string());
        source = error.source();
    }
    texts
}

#[test]
fn no_error_says_the_same_as_its_source() {
    let unsent = || Unsent { error: SendError::WouldBlock, message: Some(Message::from("x")) };
    let os_error = OsError { kind: io::ErrorKind::PermissionDenied, code: Some(13) };
    let endpoint = Endpoint::inproc("name").unwrap();
    let no_endpoint = || EndpointError::new("tcp://:1", EndpointErrorKind::EmptyHost);
    let errors: [&dyn Error; 11] = [
        &no_endpoint(),
        &BindError::from(no_endpoint()),
        &BindError::new(Some(&endpoint), BindErrorKind::Io(os_error)),
        &ConnectError::from(no_endpoint()),
        &ConnectionError::from(ProtocolError::FrameTooLarge(7)),
        &ConnectionError::from(ProxyError::Refused(5)),
        &ConnectionError::Io(os_error),
        &NotReady::new(&endpoint, NotReadyKind::Failed(ConnectionError::Silent)),
        &RequestError::from(RecvError::WouldBlock),
        &RequestError::from(unsent()),
        &unsent(),
    ];
    for error in errors {
        let texts = chain(error);
        for (at, text) in texts.iter().enumerate() {
            assert!(texts[..at].iter().all(|before| !before.contains(text)), "{texts:?}");
        }
    }
    assert_eq!(chain(&RequestError::from(RecvError::WouldBlock)), ["no reply came in time"]);
    let ended = chain(&RequestError::from(RecvError::Terminated));
    assert_eq!(ended, ["no reply: the context was shut down"]);
    assert_eq!(chain(&AnswerError::from(RecvError::WouldBlock)), ["no request came in time"]);
}

#[test]
fn a_failed_send_shows_how_large_its_message_is_and_not_what_it_says() {
    let unsent = Unsent { error: SendError::WouldBlock, message: Some(Message::from(["secret", "secret"])) };
    let shown = "Unsent { error: WouldBlock, frames: 2, octets: 12, .. }";
    assert_eq!(format!("{unsent:?}"), shown);
    assert_eq!(format!("{:?}", RequestError::from(unsent)), format!("NotSent({shown})"));
}

#[test]
fn errors_of_endpoints_name_them_and_say_what_was_to_be_done() {
    let endpoint: Endpoint = "tcp://host:1".parse().unwrap();
    let bind = |kind| BindError::new(Some(&endpoint), kind).to_string();
    let connect = |kind| ConnectError::new(&endpoint, kind).to_string();
    let ended = "the context was shut down, or belongs to the parent of this process";
    assert_eq!(bind(BindErrorKind::Terminated), format!("cannot bind to tcp://host:1: {ended}"));
    assert_eq!(connect(ConnectErrorKind::Terminated), format!("cannot connect to tcp://host:1: {ended}"));
    assert_eq!(
        BindError::of_unbind(BindError::new(Some(&endpoint), BindErrorKind::NotBound)).to_string(),
        "cannot unbind from tcp://host:1: this socket is not bound to it; give the endpoint that `bind` returned"
    );
    assert_eq!(
        ConnectError::of_disconnect(ConnectError::new(&endpoint, ConnectErrorKind::NotConnected)).to_string(),
        "cannot disconnect from tcp://host:1: this socket is not connected to it"
    );
    assert_eq!(
        BindError::new(None, BindErrorKind::NotListening).to_string(),
        "cannot bind to the descriptor: it is not a socket that listens"
    );
    let reason = "it is not an endpoint: the host is empty; write `*` to bind to every interface";
    let no_endpoint = || EndpointError::new("tcp://:1", EndpointErrorKind::EmptyHost);
    assert_eq!(
        no_endpoint().to_string(),
        "`tcp://:1` is not an endpoint: the host is empty; write `*` to bind to every interface"
    );
    assert_eq!(BindError::from(no_endpoint()).to_string(), format!("cannot bind to `tcp://:1`: {reason}"));
    assert_eq!(
        ConnectError::from(no_endpoint()).to_string(),
        format!("cannot connect to `tcp://:1`: {reason}")
    );
}

#[test]
fn a_wait_for_publishers_says_who_was_missing() {
    let timed_out = |missing, subscribed, publishers| {
        NotSubscribed::TimedOut { missing, subscribed, publishers }.to_string()
    };
    assert_eq!(timed_out(None, 0, 0), "there is no publisher: nothing is connected");
    let all_but = "publishers had confirmed the subscriptions when the time was over";
    assert_eq!(timed_out(None, 1, 2), format!("only 1 of 2 {all_but}"));
    let missing = Some("tcp://host:1".parse().unwrap());
    assert_eq!(timed_out(missing, 1, 2), format!("only 1 of 2 {all_but}; tcp://host:1 had not"));
}

#[cfg(not(loom))]
#[test]
fn what_is_undone_is_said_so_where_there_is_no_endpoint() {
    let reason = "it is not an endpoint: the host is empty; write `*` to bind to every interface";
    let mut pull = crate::Context::new().open::<crate::Pull>().unwrap();
    let unbound = pull.unbind("tcp://:1").unwrap_err();
    assert_eq!(unbound.to_string(), format!("cannot unbind from `tcp://:1`: {reason}"));
    let disconnected = pull.disconnect("tcp://:1").unwrap_err();
    assert_eq!(disconnected.to_string(), format!("cannot disconnect from `tcp://:1`: {reason}"));
}
