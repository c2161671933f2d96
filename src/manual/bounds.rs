//! Memory that an attacker or a clumsy program cannot grow: everything that is held, its bound, and what moves it.
//!
//! The bounds are those without any option set. Queues are bounded in messages, as everywhere in ZeroMQ, which is no
//! bound in octets as long as one message may have any size: set
//! [`max_message_size`](crate::Options::max_message_size), [`send_hwm_octets`](crate::Options::send_hwm_octets) and
//! [`recv_hwm_octets`](crate::Options::recv_hwm_octets) where peers are not trusted. A row without an option has a
//! bound that cannot be moved: nobody needs more, or it follows from other rows. Each is driven to its bound by the
//! tests that it names, which measure what is held. What a program gives itself, such as endpoints, subscriptions,
//! lists of addresses and keys, has no row.
//!
//! # For each peer
//!
//! | what is held | bound | option | test |
//! |---|---|---|---|
//! | a connection that has not shaken hands | 1 KiB while it says nothing, 4 KiB while a command comes | | `interop-tests/tests/small_connections.rs`: `a_half_open_connection_is_tiny` |
//! | a command of the handshake, with the peer's metadata | 3,072 octets | | `src/wire/tests/hostile.rs`: `a_size_alone_makes_us_hold_nothing`; `src/socket/tests/announce.rs`: `a_peer_that_says_too_much_of_itself_is_told_so` |
//! | the time that a handshake may take | 30 s | [`handshake_interval`](crate::Options::handshake_interval) | `src/options/value.rs`: `a_handshake_has_half_a_minute_unless_the_option_says_otherwise`; `src/socket/tests/monitor.rs`: `another_mechanism_and_a_silent_peer_are_told_apart`; `interop-tests/tests/half_open.rs`: `whoever_goes_on_slowly_is_closed_in_the_middle` |
//! | what it says while it is decided whether it may come in | 1024 octets; then it is not read | | `interop-tests/tests/small_connections.rs`: `a_connection_that_is_being_judged_is_small` |
//! | an idle connection | 8 KiB | | `interop-tests/tests/small_connections.rs`: `an_idle_connection_is_small`, `a_burst_both_ways_leaves_nothing_behind` |
//! | what is encrypted or decrypted (CURVE) | 128 KiB each way, or the longest frame; out, a frame more, and 24 octets for each, 96 KiB at most; 1 KiB each while it is quiet | | `src/session/sealed.rs`: `at_work_it_holds_a_batch_and_a_frame_each_way_and_little_when_it_is_quiet`; `interop-tests/tests/small_connections.rs`: `an_encrypted_connection_is_small_when_it_is_quiet` |
//! | what is translated (ZMTP 1.0) | 8 KiB each way while it is at work | | `src/session/zmtp1.rs`: `it_holds_no_more_than_a_read_and_a_header` |
//! | room for the next large bodies | 4 MiB while it streams | | `src/pipe/large_body.rs`: `the_shelf_keeps_no_more_than_its_limit` |
//! | the kernel's buffers | over loopback 256 KiB, or 1 MiB from the first large body on, of which Linux makes twice as much; else the system's. Small messages fit in there by the ten thousand, and come on top of both queues | [`send_buffer`](crate::Options::send_buffer), [`recv_buffer`](crate::Options::recv_buffer) | `src/transport/kernel.rs`: `over_loopback_nothing_is_paced_and_buffers_fit_the_cache`, `large_bodies_widen_the_buffers_that_nobody_chose` |
//! | messages queued for it | 1000 messages of any size; over inproc, where sender and receiver share one queue, the marks of both together | [`send_hwm`](crate::Options::send_hwm), [`send_hwm_octets`](crate::Options::send_hwm_octets) | `src/socket/tests/bounds.rs`: `push_and_pull_queues_are_bounded`, `a_queue_is_bounded_in_octets_too` |
//! | messages from it | 1000 messages of any size; then it is not read | [`recv_hwm`](crate::Options::recv_hwm), [`recv_hwm_octets`](crate::Options::recv_hwm_octets) | the same |
//! | octets from a peer of a STREAM | the same, in messages of up to 8 KiB | [`recv_hwm`](crate::Options::recv_hwm) | `src/socket/tests/stream.rs`: `a_peer_whose_octets_nobody_takes_is_stopped`, `a_peer_that_does_not_read_is_full_and_harms_nobody_else` |
//! | connections of a connect that came and went unseen | one note between two messages | | `src/pipe/tests.rs`: `connections_that_nobody_saw_take_no_room` |
//! | a message on its way in | as much as has come, however long it is; of a large frame twice that, and 1 MiB at least; 131,072 parts | [`max_message_size`](crate::Options::max_message_size) | `interop-tests/tests/bounds.rs`: `a_message_on_its_way_in_costs_what_has_come_of_it`; `src/socket/tests/whole.rs`: `more_for_ever_is_held_up_to_the_limit_only`; `src/pipe/tests/intake.rs`: `endless_more_ends_at_the_limit_of_parts` |
//! | a command after the handshake | 1,048,592 octets, until it has been looked at; with each message that is not received, up to 8 KiB for shorter commands around it | | `interop-tests/tests/bounds.rs`: `a_command_is_held_up_to_its_limit_and_no_octet_further`; `src/pipe/tests/intake.rs`: `commands_without_messages_take_no_memory`, `a_frame_whose_end_comes_octet_by_octet_stays_where_it_is`, `a_long_command_is_not_held_with_the_messages_around_it` |
//! | answers to PINGs that it does not read | 4,096 octets; then it is not read | | `src/wire/tests/rfc37_commands.rs`: `an_outbox_that_nobody_empties_says_that_it_is_full` |
//! | its questions whether it is subscribed | the last one | | `src/socket/tests/subscribed.rs`: `of_many_questions_the_last_is_answered` |
//! | its routing id | 255 octets, at six places | | `interop-tests/tests/bounds.rs`: `a_routing_id_costs_a_few_times_its_length_and_is_no_longer_than_it_may_be`; `src/socket/tests/names.rs`: `whoever_goes_leaves_no_name_behind`; `interop-tests/tests/churn.rs`: `many_with_one_name_cost_nothing` |
//! | its subscriptions | 4,000,000 topics of 256 mebioctets in all, and one message of them while it takes effect; they take 100 octets each and up to twice their own | | `interop-tests/tests/bounds.rs`: `a_peer_has_so_many_topics_of_so_many_octets_and_no_more`; `src/routing/topics/tests.rs`: `a_seat_that_asks_for_too_much_is_refused` |
//! | timers | a deadline, a tick, a look at its memory; of a dialer, however often it connects, one for each length of what it waits for; 400 of a peer that changes its time to live | | `src/wire/tests/rfc37_heartbeat.rs`: `a_peer_that_changes_its_mind_leaves_few_timers`; `src/session/alarms.rs`: `who_connects_over_and_over_has_a_timer_of_each_length` |
//! | a connection on which everything was said | its descriptor, as long as the linger; without an end of that five seconds behind the last that the peer's kernel has taken, or a minute while it takes nothing | [`linger`](crate::Options::linger) | `src/session/leave.rs`: `a_peer_that_takes_nothing_has_a_minute_and_as_long_again_for_each_octet`; `src/socket/tests/finish.rs`: `without_an_end_a_peer_that_has_everything_and_stays_is_waited_for_until_the_next_look`; `src/socket/tests/ends.rs`: `a_peer_that_stays_is_waited_for_until_the_deadline`, `a_peer_to_whom_nothing_was_told_is_not_waited_for` |
//!
//! # For each socket
//!
//! | what is held | bound | option | test |
//! |---|---|---|---|
//! | connections that wait to be accepted | 100, in the kernel, which may count one more | [`backlog`](crate::Options::backlog) | `src/socket/tests/resources.rs`: `as_many_wait_to_be_accepted_as_the_backlog_says` |
//! | a listener that cannot accept | one timer | | `src/socket/tests/resources.rs`: `however_many_come_while_descriptors_are_short_there_is_one_try_for_each_pause` |
//! | connections in their handshake | 16,384; one host has an eighth of them once half are taken | [`handshakes_max`](crate::Options::handshakes_max), [`handshakes_max_per_address`](crate::Options::handshakes_max_per_address) | `src/session/half_open.rs`: `one_host_has_its_share_only_when_places_are_short`, `without_a_limit_in_all_there_is_none_for_one_host` |
//! | connections that have shaken hands | the descriptors of the process; who comes behind that waits in the backlog | [`authorizer`](crate::Options::authorizer) decides who may come at all | `src/socket/tests/resources.rs`: `accept_survives_the_lack_of_descriptors`, `however_many_come_while_descriptors_are_short_there_is_one_try_for_each_pause` |
//! | peers that came, said something and went before anybody received it | each as above, in all as many as descriptors: they count as if they had theirs; who comes behind that waits in the backlog | `RLIMIT_NOFILE` | `src/socket/tests/resources.rs`: `peers_that_left_with_something_unread_count_as_if_they_had_their_descriptors` |
//! | peers that came and went while nobody called the socket | none; while it looks for them, 64 notices or twice those of peers that are there | | `interop-tests/tests/churn.rs`: `visitors_that_nobody_looks_at_leave_nothing_behind`; `src/socket/tests/router.rs`: `peers_that_left_leave_nothing_although_nobody_receives` |
//! | the same of a STREAM, or of a ROUTER that tells of peers | 1000 to 2000; of more it is not told | [`router_notify`](crate::Options::router_notify) | `src/socket/tests/unreceived.rs`: `who_tells_of_peers_tells_of_so_many_visitors_and_no_more` |
//! | news of a ROUTER that nobody receives | 10,000; of more it is not told | [`router_notify`](crate::Options::router_notify) | `src/socket/tests/router.rs`: `news_that_nobody_receives_do_not_pile_up` |
//! | what a peer of a PUB or XPUB has said until a call takes it in | 1000 topics of 8 mebioctets, and one more; of a PUB's peer that has gone nothing; more wait at the peer | [`recv_hwm`](crate::Options::recv_hwm), [`recv_hwm_octets`](crate::Options::recv_hwm_octets) | `src/socket/tests/idle_publishers.rs`: `topics_wait_at_a_peer_whose_publisher_makes_no_calls_until_it_goes` |
//! | subscriptions of which an XPUB's application has not heard | 65,536 of a peer, of 8 mebioctets; in all, those of peers that left included, 4,000,000 of 64 mebioctets, where each frame behind the first counts 72 octets more; more wait at the peer | | `src/socket/tests/xpubsub.rs`: `an_xpub_that_never_receives_stops_its_peer_and_nobody_else`, `whoever_comes_and_goes_cannot_fill_an_xpub_that_does_not_receive`, `frames_without_octets_cannot_fill_an_xpub_that_does_not_receive` |
//! | events of a monitor | 1,000 for each monitor; more are counted | | `src/session/monitor.rs`: `events_at_the_end_of_a_full_monitor_are_told_as_missed`, `monitors_that_were_dropped_do_not_gather` |
//! | who waits for it | one waker for each way to wait; if it is [shared](crate::SharedSocket), a place for each thread and task that waits now | | `src/socket/tests/wakers.rs`: `whoever_waits_again_and_again_leaves_one_waker`; `src/socket/tests/shared_tasks.rs`: `whoever_waits_has_one_place_in_line_and_leaves_none` |
//! | what a [`Proxy`](crate::Proxy) holds | a message each way; more wait in its sockets | theirs | `src/socket/tests/proxy.rs`: `what_has_no_room_is_held_and_handed_back_in_the_end`, `while_one_way_is_full_the_other_goes_on` |
//! | addresses of a name to which it connects | 256 | | `src/io/resolver.rs`: `of_a_name_with_many_addresses_so_many_are_kept` |
//! | those to which it connects at the same time | 16 of each connect | [`connect_timeout`](crate::Options::connect_timeout) ends each, and the oldest makes room for the next | `src/socket/tests/dialing.rs`: `only_so_many_addresses_of_a_name_are_tried_at_the_same_time`, `addresses_that_lose_are_closed` |
//! | what a SOCKS proxy answers | 262 octets | | `src/session/socks.rs`: `it_holds_no_more_than_the_longest_answer` |
//! | subscriptions of a SUB or XSUB of which a publisher has not been told | one entry for each topic, however often it changes; cancellations of nothing, if an XSUB tells of them, 1,000 and as many as it has topics | [`xsub_verbose_unsubscribe`](crate::Options::xsub_verbose_unsubscribe) | `src/pipe/upstream/tests.rs`: `what_waits_is_bounded_by_the_topics_however_often_they_change`, `cancellations_of_nothing_wait_up_to_as_many_as_there_are_topics_and_some_more` |
//! | bindings | those that were not unbound | | `src/socket/endpoints.rs`: `bindings_that_were_unbound_through_their_handles_do_not_gather` |
//! | notices that a peer of this process shall go | one for each | | `src/socket/tests/unreceived.rs`: `a_peer_that_is_asked_to_go_over_and_over_is_asked_once` |
//!
//! # For each context
//!
//! | what is held | bound | option | test |
//! |---|---|---|---|
//! | questions that a ZAP handler has not answered | 10,000; more peers are refused | | `src/socket/zap.rs`: `only_so_many_questions_wait_for_an_answer` |
//! | connections that were ended because their peer broke the protocol, or by [`Peer::close`](crate::Peer::close), or on which the kernel had no room for the last that is said | 64, of a second, 8 mebioctets that are thrown away, and what is left to say; more are closed at once | | `src/session/parting.rs`: `it_takes_so_many_octets_and_no_more`, `it_has_a_second_whatever_the_peer_does`, `there_is_room_for_so_many_and_again_when_one_has_ended`; `src/socket/tests/ends.rs`: `those_that_are_parted_from_have_few_places_and_not_for_long` |
//! | names that are looked up | 8 at a time, and 32 with those that take more than 250 ms, each on a thread, and each once for all who ask; a question for each connect; in all contexts of the process, those that are gone included, 64 threads | | `src/socket/tests/dialing.rs`: `contexts_that_are_gone_leave_only_so_many_threads_behind_and_others_ask_again`, `silent_names_take_a_few_threads_and_no_more_of_them_when_the_context_is_gone`, `names_whose_servers_are_silent_delay_no_others`, `a_name_is_looked_up_once_for_all_who_connect_to_it`; `src/io/resolver.rs`: `nothing_is_kept_for_those_who_ask_no_more` |
//! | statistics of sockets that are gone | their sum | | `src/socket/stats.rs`: `of_sockets_that_are_gone_a_sum_is_left` |
//! | connects to a name of this process that nobody has bound | those that go on, and what those have left that went: it is received when the name is bound | | `src/socket/tests/inproc.rs`: `connecters_that_went_before_the_bind_and_left_nothing_do_not_gather`, `a_connecter_that_went_before_the_bind_leaves_its_messages` |
//! | I/O threads | one for each core | [`io_threads`](crate::ContextBuilder::io_threads) | `src/socket/tests/resources.rs`: `io_threads_are_as_many_as_asked_for_and_start_when_needed` |
//! | timers of connections that are gone | 1024 of each I/O thread, or as many as of those that are there | | `src/io/timers.rs`: `timers_of_tasks_that_are_gone_do_not_gather` |
//! | connections of which a thread knows that they stream | 8, or twice those that are there | | `src/session/streams.rs`: `a_thread_that_never_waits_forgets_connections_that_are_gone` |
//!
//! # For the process
//!
//! | what is held | bound | option | test |
//! |---|---|---|---|
//! | contexts, for the end of the program | those that are there, and were when the last was made | | `src/socket/tests/context.rs`: `the_end_of_the_program_keeps_the_contexts_that_are_there_and_no_others` |
