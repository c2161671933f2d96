//! Options: who has which.

use super::*;
use crate::options::FixedMessage;
use crate::{
    Dealer, OpenError, Options, Pair, Pub, Rep, Req, Router, RouterNotify, RoutingId, SocketType, Stream,
    Sub, XPub, XSub,
};

/// Sets an option that not every type has.
type Set<P> = fn(Builder<P>) -> Builder<P>;

/// Each such option, and how to give it another value than its default.
fn special<P: Pattern>() -> Vec<(&'static str, Set<P>)> {
    vec![
        ("conflate", |it| it.conflate(true)),
        ("routing_id", |it| it.routing_id(RoutingId::new("me").unwrap())),
        ("router_mandatory", |it| it.router_mandatory(true)),
        ("router_handover", |it| it.router_handover(true)),
        ("router_notify", |it| it.router_notify(RouterNotify::BOTH)),
        ("stream_notify", |it| it.stream_notify(false)),
        ("probe_router", |it| it.probe_router(true)),
        ("req_correlate", |it| it.req_correlate(true)),
        ("req_relaxed", |it| it.req_relaxed(true)),
        ("hello_msg", |it| it.hello_msg(FixedMessage::from("hello"))),
        ("disconnect_msg", |it| it.disconnect_msg(FixedMessage::from("gone"))),
        ("hiccup_msg", |it| it.hiccup_msg(FixedMessage::from("lost"))),
        ("xpub_verbose", |it| it.xpub_verbose(true)),
        ("xpub_verboser", |it| it.xpub_verboser(true)),
        ("xpub_nodrop", |it| it.xpub_nodrop(true)),
        ("xpub_manual", |it| it.xpub_manual(true)),
        ("xpub_manual_last_value", |it| it.xpub_manual_last_value(true)),
        ("xpub_welcome_message", |it| it.xpub_welcome_message("welcome")),
        ("xsub_verbose_unsubscribe", |it| it.xsub_verbose_unsubscribe(true)),
        ("invert_matching", |it| it.invert_matching(true)),
        ("only_first_subscribe", |it| it.only_first_subscribe(true)),
    ]
}

/// Opens a socket with each of them; those that its type does not have are refused.
fn opens_with_its_own_only<P: Pattern>(
    context: &Context,
    socket_type: SocketType,
    builder: fn(&Context) -> Builder<P>,
) {
    let special = special::<P>();
    for row in Options::TABLE.iter().filter(|row| !row.only.is_empty()) {
        let set =
            special.iter().find(|(name, _)| *name == row.name).unwrap_or_else(|| panic!("{}", row.name)).1;
        let opened = set(builder(context)).open().map(drop);
        let expected = match row.only.contains(&socket_type) {
            true => Ok(()),
            false => Err(OpenError::ForeignOption { option: row.name, socket_type }),
        };
        assert_eq!(opened, expected, "{} of a {socket_type:?}", row.name);
    }
}

#[test]
fn an_option_that_the_type_does_not_have_is_refused_when_it_is_opened() {
    let context = Context::new();
    macro_rules! each {
        ($($pattern:ident)*) => {$(
            opens_with_its_own_only::<$pattern>(&context, SocketType::$pattern, |it| it.builder_for());
            opens_with_its_own_only(&context, SocketType::$pattern, |it| it.builder_for_any(SocketType::$pattern));
        )*};
    }
    each!(Dealer Pair Pub Pull Push Rep Req Router Stream Sub XPub XSub);
}
