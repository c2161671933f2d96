//! Memory that an attacker or a clumsy program cannot grow: everything that is held, its bound, and what moves it.
//!
//! The bounds are those without any option set. A row without an option has none: nobody needs more, or it follows from
//! other rows. Each is driven to its bound by the tests that it names, which measure what is held.
//!
//! # For each peer
//!
//! | what is held | bound | option | test |
//! |---|---|---|---|
//! | a connection that has not shaken hands | 1 KiB while it says nothing, 4 KiB while a command comes | | `interop-tests/tests/small_connections.rs`: `a_half_open_connection_is_tiny` |
//! | a command of the handshake, with the peer's metadata | 3,072 octets | | `src/wire/tests/hostile.rs`: `a_size_alone_makes_us_hold_nothing`; `src/socket/tests/announce.rs`: `a_peer_that_says_too_much_of_itself_is_told_so` |
//! | the time that a handshake may take | 30 s | [`handshake_interval`](crate::Options::handshake_interval) | `src/socket/tests/monitor.rs`: `another_mechanism_and_a_silent_peer_are_told_apart`; `interop-tests/tests/half_open.rs`: `whoever_goes_on_slowly_is_closed_in_the_middle` |
//! | an idle connection | 8 KiB | | `interop-tests/tests/small_connections.rs`: `an_idle_connection_is_small`, `a_burst_both_ways_leaves_nothing_behind` |
//! | messages queued for it | 1000 messages of any size | [`send_hwm`](crate::Options::send_hwm), [`send_hwm_octets`](crate::Options::send_hwm_octets) | `src/socket/tests/bounds.rs`: `push_and_pull_queues_are_bounded`, `a_queue_is_bounded_in_octets_too` |
//! | messages from it | 1000 messages of any size; then it is not read | [`recv_hwm`](crate::Options::recv_hwm), [`recv_hwm_octets`](crate::Options::recv_hwm_octets) | the same |
//! | a message on its way in | as much as has come, as long as it is; 131,072 parts | [`max_message_size`](crate::Options::max_message_size) | `src/pipe/tests.rs`: `endless_more_ends_at_the_limit_of_parts` |
//! | a command after the handshake | 1,048,592 octets | | `src/pipe/tests.rs`: `commands_without_messages_take_no_memory` |
//! | answers to PINGs that it does not read | 4,096 octets; then it is not read | | `src/wire/tests/rfc37_commands.rs`: `an_outbox_that_nobody_empties_says_that_it_is_full` |
//! | its routing id | 255 octets | | `src/socket/tests/names.rs`: `whoever_goes_leaves_no_name_behind`; `interop-tests/tests/churn.rs`: `many_with_one_name_cost_nothing` |
//! | its subscriptions | 4,000,000 topics of 256 mebioctets in all | | `src/routing/topics/tests.rs`: `a_seat_that_asks_for_too_much_is_refused` |
//!
//! # For each socket
//!
//! | what is held | bound | option | test |
//! |---|---|---|---|
//! | connections that wait to be accepted | 100, in the kernel | [`backlog`](crate::Options::backlog) | the kernel's |
//! | connections in their handshake | 16,384; one host has an eighth of them once half are taken | [`handshakes_max`](crate::Options::handshakes_max), [`handshakes_max_per_address`](crate::Options::handshakes_max_per_address) | `src/session/half_open.rs`: `one_host_has_its_share_only_when_places_are_short`, `without_a_limit_in_all_there_is_none_for_one_host` |
//! | connections that have shaken hands | the descriptors of the process; who comes behind that waits in the backlog | [`authorizer`](crate::Options::authorizer) decides who may come at all | `src/socket/tests/resources.rs`: `accept_survives_the_lack_of_descriptors`, `however_many_come_while_descriptors_are_short_there_is_one_try_for_each_pause` |
//! | peers that came, said something and went before anybody received it | each as above, in all as many as descriptors: they count as if they had theirs; who comes behind that waits in the backlog | `RLIMIT_NOFILE` | `src/socket/tests/resources.rs`: `peers_that_left_with_something_unread_count_as_if_they_had_their_descriptors` |
//! | peers that came and went while nobody called the socket | none; while it looks for them, 64 notices or twice those of peers that are there | | `interop-tests/tests/churn.rs`: `visitors_that_nobody_looks_at_leave_nothing_behind`; `src/socket/tests/router.rs`: `peers_that_left_leave_nothing_although_nobody_receives` |
//! | the same of a STREAM, or of a ROUTER that tells of peers | 1000 to 2000; of more it is not told | [`router_notify`](crate::Options::router_notify) | `src/socket/tests/unreceived.rs`: `who_tells_of_peers_tells_of_so_many_visitors_and_no_more` |
//! | news of a ROUTER that nobody receives | 10,000; of more it is not told | [`router_notify`](crate::Options::router_notify) | `src/socket/tests/router.rs`: `news_that_nobody_receives_do_not_pile_up` |
//! | subscriptions of which an XPUB's application has not heard | 65,536 of a peer, of 8 mebioctets; in all, those of peers that left included, 4,000,000 of 64 mebioctets; more wait at the peer | | `src/socket/tests/xpubsub.rs`: `an_xpub_that_never_receives_stops_its_peer_and_nobody_else`, `whoever_comes_and_goes_cannot_fill_an_xpub_that_does_not_receive` |
//! | events of a monitor | 1,000 for each monitor; more are counted | | `src/session/monitor.rs`: `events_at_the_end_of_a_full_monitor_are_told_as_missed`, `monitors_that_were_dropped_do_not_gather` |
//! | bindings | those that were not unbound | | `src/socket/endpoints.rs`: `bindings_that_were_unbound_through_their_handles_do_not_gather` |
//! | notices that a peer of this process shall go | one for each | | `src/socket/tests/unreceived.rs`: `a_peer_that_is_asked_to_go_over_and_over_is_asked_once` |
//!
//! # For each context
//!
//! | what is held | bound | option | test |
//! |---|---|---|---|
//! | questions that a ZAP handler has not answered | 10,000; more peers are refused | | `src/socket/zap.rs`: `only_so_many_questions_wait_for_an_answer` |
//! | connections that were ended because their peer broke the protocol, or by [`Peer::close`](crate::Peer::close) | 64, of a second and 8 mebioctets that are thrown away; more are closed at once | | `src/socket/tests/ends.rs`: `those_that_are_parted_from_have_few_places_and_not_for_long` |
//! | I/O threads | one for each core | [`io_threads`](crate::ContextBuilder::io_threads) | `src/socket/tests/resources.rs`: `io_threads_are_as_many_as_asked_for_and_start_when_needed` |
//! | timers of connections that are gone | 1024 of each I/O thread, or as many as of those that are there | | `src/io/timers.rs`: `timers_of_tasks_that_are_gone_do_not_gather` |
