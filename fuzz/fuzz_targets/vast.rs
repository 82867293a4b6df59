#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onair_fuzz::targets::vast(data));
