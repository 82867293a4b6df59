//! Tag bodies as encoders send them, without their metadata. All pictures are 64×48 pixels of grey.

/// `ffmpeg -f lavfi -i color=gray:size=64x48:rate=25 -frames:v 3 -c:v libx264 -bf 0 -bsf:v filter_units=remove_types=6
/// x.flv` (ffmpeg 5.1): sequence header, IDR frame, P frame, the same P frame with a
/// `nal_ref_idc` of 0, end of sequence.
pub(super) const H264: [&str; 5] = [
    "17000000000164000affe100166764000aacb208f60220000003002000000641e244c901000668ebc3cb22c0fdf8f800",
    "1701000000000000196588840bfffef6aefcdc54a970eacbda58dcbdc3bd6941f0c7",
    "270100000000000008419a3b10bffe8dc3",
    "270100000000000008019a3b10bffe8dc3",
    "1702000000",
];

/// The same at 96×64 pixels: sequence header and IDR frame.
pub(super) const H264_LARGER: [&str; 2] = [
    "17000000000164000affe100186764000aacb20c4d8088000003000800000301907891324001000668ebc3cb22c0fdf8f800",
    "1701000000000000216588840afffef6737c257258e37992f72cbec317fe6cd4802d3c44b83d1562d5c1",
];

/// `ffmpeg -f lavfi -i color=gray:size=64x48:rate=25 -frames:v 4 -c:v libx265
/// -x265-params info=0:bframes=2:b-adapt=0:keyint=4 x.flv` (ffmpeg 9.0, x265 4.3): sequence start, then one frame with a
/// composition time for IDR, B and B, and one without.
pub(super) const H265: [&str; 5] = [
    "90687663310101600000009000000000001ef000fcfdf8f800000f03200001001840010c01ffff0160000003009000000300000300\
     1e959009210001002942010101600000030090000003000003001ea020831659592e4caf016808000003000800000300c840220001\
     00064401c173d089",
    "91687663310000500000000e2801af1d80ee2473ebbd7cd5b2c0",
    "a1687663310000a00000000c0201d0195f84318e40f97c74",
    "a1687663310000500000000b0201e04497e184908c3c80",
    "a3687663310000000c0001e024fffa2c29808a7e80",
];

/// `ffmpeg -f lavfi -i color=gray:size=64x48:rate=25 -frames:v 2 -c:v libaom-av1 -cpu-used 8 -lag-in-frames 0 -g 4 x.flv`
/// (ffmpeg 9.0): an empty sequence start, the real one, key frame, inter frame; frames with temporal delimiters.
pub(super) const AV1: [&str; 4] = [
    "9061763031",
    "906176303181000c000a0a00000002aff79b5f2008",
    "916176303112000a0a00000002aff79b5f2008320d10009000000200008008fae740",
    "a161763031120032113003c080000006c0000002800020009910",
];

/// `ffmpeg -f lavfi -i color=gray:size=64x48:rate=25 -frames:v 2 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 4 x.flv`
/// (ffmpeg 9.0): sequence start with the header of the full box, key frame, inter frame.
pub(super) const VP9: [&str; 3] = [
    "907670303901000000000a820202020000",
    "9176703039824983420003f002f60638241c184a00002040006b38f7a69b004e724700",
    "a176703039860040929c48500000037000005470",
];

/// `ffmpeg -f lavfi -i color=gray:size=64x48:rate=25 -frames:v 2 -c:v libvpx x.ivf` (ffmpeg 9.0), put behind enhanced
/// headers: key frame, inter frame. No encoder at hand writes VP8 into FLV.
pub(super) const VP8: [&str; 2] = [
    "9176703038b002009d012a40003000004708858588858488020200068e621367998f2f00fe6800",
    "a176703038d101000510ac00180018582ff400088c0000",
];

/// `ffmpeg -f lavfi -i anullsrc=r=48000:cl=stereo -frames:a 2 -c:a libopus -b:a 16k x.flv` (ffmpeg 9.0): sequence start,
/// channel layout, packet.
pub(super) const OPUS: [&str; 3] = [
    "904f7075734f707573486561640102380180bb0000000000",
    "944f707573010200000003",
    "914f707573780be4c136ecc58d8c494699a426b0",
];

/// `ffmpeg -f lavfi -i anullsrc=r=48000:cl=mono -f lavfi -i anullsrc=r=48000:cl=mono -map 0 -map 1 -c:a aac -b:a 16k x.flv`
/// (ffmpeg 9.0): two tracks, the first legacy, the second by Multitrack.
pub(super) const TWO_AAC: [&str; 5] = [
    "af00118856e500",
    "95006d70346101118856e500",
    "95046d70346101010100000004",
    "af0101182007",
    "95016d7034610101182007",
];

/// Colour metadata, from the H.265 sample.
pub(super) const METADATA: &str =
    "d468766331020009636f6c6f72496e666f03000b636f6c6f72436f6e66696703000009000009";
