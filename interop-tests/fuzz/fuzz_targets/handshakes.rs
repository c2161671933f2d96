#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peermq::fuzz::handshakes(data));
