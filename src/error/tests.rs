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
    let errors: [&dyn Error; 10] = [
        &BindError::from(EndpointError::EmptyHost),
        &BindError::Io(os_error),
        &ConnectError::from(EndpointError::MissingPort),
        &ConnectionError::from(ProtocolError::FrameTooLarge(7)),
        &ConnectionError::from(ProxyError::Refused(5)),
        &ConnectionError::Io(os_error),
        &NotReady::Failed(ConnectionError::Silent),
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
    assert_eq!(
        chain(&BindError::from(EndpointError::EmptyName)),
        ["invalid endpoint: the inproc name is empty"]
    );
    assert_eq!(chain(&RequestError::from(RecvError::WouldBlock)), ["no reply: no message is waiting"]);
}

#[test]
fn a_failed_send_shows_how_large_its_message_is_and_not_what_it_says() {
    let unsent = Unsent { error: SendError::WouldBlock, message: Some(Message::from(["secret", "secret"])) };
    let shown = "Unsent { error: WouldBlock, frames: 2, octets: 12, .. }";
    assert_eq!(format!("{unsent:?}"), shown);
    assert_eq!(format!("{:?}", RequestError::from(unsent)), format!("NotSent({shown})"));
}
