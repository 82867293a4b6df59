//! Configuration records of real encoders, for the tests of this module.
//!
//! Made with Debian's ffmpeg 5.1 (x264 164, x265 3.5, SVT-AV1 1.4.1, libaom 3.6, libvpx 1.12, libopus 1.3):
//! `ffmpeg -f lavfi -i SOURCE … -map_metadata -1 -fflags +bitexact out.mp4`. Records are those of
//! `ffprobe -show_streams -show_data` (VP9: of the `vpcC` box); picture sizes, reorder depths (`has_b_frames`), frame
//! rates, sample rates and channels are what ffprobe says of the same file.

use crate::media::{AudioParams, Codec, Params, VideoParams};

/// One record and what it says.
pub(super) struct Sample {
    /// What ffmpeg was given.
    pub(super) made_by: &'static str,
    pub(super) codec: Codec,
    /// Hexadecimal.
    config: &'static str,
    pub(super) params: Params,
    /// Frames a second of H.264 and H.265, reduced; zeros elsewhere.
    pub(super) frame_rate: (u32, u32),
    pub(super) mime: &'static str,
}

impl Sample {
    /// The record as bytes.
    pub(super) fn config(&self) -> Vec<u8> {
        hex(self.config)
    }
}

/// Bytes from hexadecimal digits.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    assert!(digits.is_ascii() && digits.len().is_multiple_of(2), "pairs of digits");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// The first record of this codec.
pub(crate) fn of(codec: Codec) -> Vec<u8> {
    SAMPLES.iter().find(|sample| sample.codec == codec).expect("a sample of each codec").config()
}

const fn video(width: u32, height: u32, reorder_depth: u8) -> Params {
    Params::Video(VideoParams { width, height, reorder_depth: Some(reorder_depth) })
}

const fn audio(sample_rate: u32, channels: u8, frame_samples: Option<u32>) -> Params {
    Params::Audio(AudioParams { sample_rate, channels, frame_samples })
}

/// One record each of what encoders make of odd sizes, interlacing, chroma formats, bit depths and layouts.
pub(super) const SAMPLES: &[Sample] = &[
    Sample {
        made_by: "-i testsrc2=s=176x144:r=15:d=1 -c:v libx264 -profile:v baseline -pix_fmt yuv420p -g 15",
        codec: Codec::H264,
        config: "0142c00affe100166742c00ad902c4ec0440000003004000000783c4899201000568cb83cb20",
        params: video(176, 144, 0),
        frame_rate: (15, 1),
        mime: "avc1.42C00A",
    },
    Sample {
        made_by: "-i testsrc2=s=854x480:r=30:d=0.3 -c:v libx264 -profile:v main -pix_fmt yuv420p -bf 2",
        codec: Codec::H264,
        config: "014d401fffe10018674d401feca06c1ef3780880000003008000001e078c18cb01000568ebe3cb20",
        params: video(854, 480, 2),
        frame_rate: (30, 1),
        mime: "avc1.4D401F",
    },
    Sample {
        made_by: "-i testsrc2=s=1366x766:r=30000/1001:d=0.3 -c:v libx264 -profile:v high -pix_fmt yuv420p -bf 3",
        codec: Codec::H264,
        config: "01640020ffe1001967640020acd94056061e6ac04400000fa40003a9803c60c65801000668ebe3cb22c0fdf8\
         f800",
        params: video(1366, 766, 2),
        frame_rate: (30000, 1001),
        mime: "avc1.640020",
    },
    Sample {
        made_by: "-i testsrc2=s=1920x1080:r=25:d=0.2 -c:v libx264 -profile:v high -pix_fmt yuv420p -preset ultrafast",
        codec: Codec::H264,
        config: "0142c028ffe100196742c028da01e0089f97011000000300100000030320f1832a01000468ce0fc8",
        params: video(1920, 1080, 0),
        frame_rate: (25, 1),
        mime: "avc1.42C028",
    },
    Sample {
        made_by: "-i testsrc2=s=720x576:r=25:d=0.4 -c:v libx264 -flags +ildct+ilme -x264opts tff=1 -pix_fmt yuv420p",
        codec: Codec::H264,
        config: "0164001effe100186764001eacd940b424d8088000000300800000190f8a14cb01000668fba3cb22c0fdf8f8\
         00",
        params: video(720, 576, 2),
        frame_rate: (25, 1),
        mime: "avc1.64001E",
    },
    Sample {
        made_by: "-i testsrc2=s=1920x1080:r=25:d=0.2 -c:v libx264 -preset veryfast -flags +ildct+ilme -x264opts tff=1 -pix_fmt yuv420p",
        codec: Codec::H264,
        config: "01640028ffe1001a67640028acd94078044fde0220000003002000000643e2c5b2c001000468fe8fcbfdf8f8\
         00",
        params: video(1920, 1080, 2),
        frame_rate: (25, 1),
        mime: "avc1.640028",
    },
    Sample {
        made_by: "-i testsrc2=s=1280x718:r=50:d=0.2 -c:v libx264 -profile:v high422 -pix_fmt yuv422p10le",
        codec: Codec::H264,
        config: "017a0020ffe1001b677a0020b6cd9405005bfbc044000003000400000301903c60c65801000668ebe3cb22c0\
         fefafa00",
        params: video(1280, 718, 2),
        frame_rate: (50, 1),
        mime: "avc1.7A0020",
    },
    Sample {
        made_by: "-i testsrc2=s=320x240:r=10:d=0.5 -vf format=yuv444p,scale=319:239 -c:v libx264 -profile:v high444 -pix_fmt yuv444p",
        codec: Codec::H264,
        config: "01f4000cffe1001e67f4000c919b28283fd57fe0778077a2000003000200000300281e28532c01000668ebe3\
         c44844fff8f800",
        params: video(319, 239, 2),
        frame_rate: (10, 1),
        mime: "avc1.F4000C",
    },
    Sample {
        made_by: "-i testsrc2=s=322x242:r=24:d=0.3 -c:v libx264 -profile:v high10 -pix_fmt yuv420p10le",
        codec: Codec::H264,
        config: "016e000dffe1001b676e000da6cd94150878888c0440000003004000000c03c50a658001000668ebe3cb22c0\
         fdfafa00",
        params: video(322, 242, 2),
        frame_rate: (24, 1),
        mime: "avc1.6E000D",
    },
    Sample {
        made_by: "-i testsrc2=s=720x1280:r=30:d=0.2 -c:v libx264 -tune zerolatency -pix_fmt yuv420p",
        codec: Codec::H264,
        config: "0164001fffe100186764001facb2016814360220000003002000000791e3064901000668ebc3cb22c0fdf8f8\
         00",
        params: video(720, 1280, 0),
        frame_rate: (30, 1),
        mime: "avc1.64001F",
    },
    Sample {
        made_by: "-i testsrc2=s=160x90:r=10:d=1 -c:v libx264 -x264opts aud=1:nal-hrd=cbr:vbv-maxrate=200:vbv-bufsize=200:repeat-headers=1 -b:v 200k -pix_fmt yuv420p",
        codec: Codec::H264,
        config: "0164000bffe100236764000bacd9428df93011000003000100000300146040030d40061ae4b28078a14cb001\
         000568ebecb22cfdf8f800",
        params: video(160, 90, 2),
        frame_rate: (10, 1),
        mime: "avc1.64000B",
    },
    Sample {
        made_by: "-i testsrc2=s=854x480:r=30:d=0.3 -c:v libx265 -pix_fmt yuv420p -tag:v hvc1 -x265-params log-level=none:info=0",
        codec: Codec::H265,
        config: "0101600000009000000000005af000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003\
         000003005a959809a10001002a42010101600000030090000003000003005aa006b201e1d796566924caf016\
         8080000003008000000f04a2000100074401c172b46240",
        params: video(854, 480, 2),
        frame_rate: (30, 1),
        mime: "hvc1.1.6.L90.90",
    },
    Sample {
        made_by: "-i testsrc2=s=1366x766:r=25:d=0.3 -c:v libx265 -pix_fmt yuv420p10le -tag:v hvc1 -x265-params log-level=none:info=0",
        codec: Codec::H265,
        config: "01022000000090000000000078f000fcfdfafa00000f03a00001001840010c01ffff02200000030090000003\
         0000030078959809a10001002c420101022000000300900000030000030078a002ac80301d5365959a4932bc\
         05a02000000300200000030321a2000100074401c172b46240",
        params: video(1366, 766, 2),
        frame_rate: (25, 1),
        mime: "hvc1.2.4.L120.90",
    },
    Sample {
        made_by: "-i testsrc2=s=322x242:r=30000/1001:d=0.3 -c:v libx265 -pix_fmt yuv420p -x265-params log-level=none:info=0:bframes=0",
        codec: Codec::H265,
        config: "0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff01600000030090000003\
         000003003c928090210001002942010101600000030090000003000003003ca00a480f9c926592a4932bc05a\
         02000007d20000ea601022000100074401c172b46240",
        params: video(322, 242, 0),
        frame_rate: (30000, 1001),
        mime: "hvc1.1.6.L60.90",
    },
    Sample {
        made_by: "-i testsrc2=s=640x362:r=25:d=0.2 -c:v libx265 -pix_fmt yuv422p10le -x265-params log-level=none:info=0:hrd=1:vbv-maxrate=500:vbv-bufsize=500:aud=1:repeat-headers=1",
        codec: Codec::H265,
        config: "0104080000009d08000000003ff000fcfefafa00000f04200001001740010c01ffff0408000003009d080000\
         0300003f95980921000100354201010408000003009d0800000300003fb005020171f3b65959a4932bc05a02\
         00000300020000030032c0192cbc003d08000f424422000100074401c172b4624027000100064e0181010f80",
        params: video(640, 362, 2),
        frame_rate: (25, 1),
        mime: "hvc1.4.10.L63.9D.8",
    },
    Sample {
        made_by: "-i testsrc2=s=320x240:r=10:d=0.5 -vf format=yuv444p,scale=321:241 -c:v libx265 -pix_fmt yuv444p12le -x265-params log-level=none:info=0",
        codec: Codec::H265,
        config: "0104080000009808000000003cf000fcfffcfc00000f03200001001740010c01ffff04080000030098080000\
         0300003c9598092100010030420101040800000300980800000300003c90014901f38888294b2b3492657ff8\
         1e201e1b40400000030040000003028222000100084401c172860c4624",
        params: video(321, 241, 2),
        frame_rate: (10, 1),
        mime: "hvc1.4.10.L60.98.8",
    },
    Sample {
        made_by: "-i testsrc2=s=720x1280:r=30:d=0.2 -c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=none:info=0",
        codec: Codec::H265,
        config: "0101600000009000000000005df000fcfdf8f800000f03200001001840010c01ffff01600000030090000003\
         000003005d959409210001002b42010101600000030090000003000003005da005a2005016595952930bc05a\
         020000030002000003003c1022000100064401c073c189",
        params: video(720, 1280, 2),
        frame_rate: (30, 1),
        mime: "hvc1.1.6.L93.90",
    },
    Sample {
        made_by: "-i testsrc2=s=160x90:r=10:d=2 -c:v libx265 -pix_fmt yuv420p -x265-params log-level=none:info=0:temporal-layers=1:bframes=3:scaling-list=default",
        codec: Codec::H265,
        config: "0101600000009000000000001ef000fcfdf8f800001303200001001c40010c02ffff01600000030090000003\
         000003001e00009594aca048210001002d42010201600000030090000003000003001e0000a0142061f26595\
         94acb249caf016808000000300800000050422000100074401c172b46240",
        params: video(160, 90, 2),
        frame_rate: (10, 1),
        mime: "hvc1.1.6.L30.90",
    },
    Sample {
        made_by: "-i testsrc2=s=640x362:r=25:d=0.3 -c:v libsvtav1 -preset 8 -pix_fmt yuv420p",
        codec: Codec::Av1,
        config: "81010c000a0b0000000cc4ff6900be0010",
        params: video(640, 362, 0),
        frame_rate: (0, 0),
        mime: "av01.0.01M.08",
    },
    Sample {
        made_by: "-i testsrc2=s=322x242:r=30:d=0.2 -c:v libaom-av1 -cpu-used 8 -pix_fmt yuv420p10le -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc",
        codec: Codec::Av1,
        config: "81004c000a0e000000043d07c4daf95091009040",
        params: video(322, 242, 0),
        frame_rate: (0, 0),
        mime: "av01.0.00M.10.0.110.09.16.09.0",
    },
    Sample {
        made_by: "-i testsrc2=s=176x144:r=10:d=0.3 -vf format=yuv444p,scale=175:143 -c:v libaom-av1 -cpu-used 8 -pix_fmt yuv444p",
        codec: Codec::Av1,
        config: "812000000a0a20000003bd7471b5f204",
        params: video(175, 143, 0),
        frame_rate: (0, 0),
        mime: "av01.1.00M.08.0.000.01.01.01.0",
    },
    Sample {
        made_by: "-i testsrc2=s=320x240:r=10:d=0.5 -vf scale=321:241 -c:v libaom-av1 -cpu-used 8 -pix_fmt yuv420p",
        codec: Codec::Av1,
        config: "81000c000a0b000000043d03c0daf90040",
        params: video(321, 241, 0),
        frame_rate: (0, 0),
        mime: "av01.0.00M.08",
    },
    Sample {
        made_by: "-i testsrc2=s=320x240:r=25:d=0.4 -vf scale=321:241 -c:v libvpx-vp9 -cpu-used 8 -deadline realtime -pix_fmt yuv420p",
        codec: Codec::Vp9,
        config: "0014820202020000",
        params: video(0, 0, 0),
        frame_rate: (0, 0),
        mime: "vp09.00.20.08",
    },
    Sample {
        made_by: "-i testsrc2=s=1280x720:r=25:d=0.2 -c:v libvpx-vp9 -cpu-used 8 -deadline realtime -pix_fmt yuv420p10le",
        codec: Codec::Vp9,
        config: "021fa20202020000",
        params: video(0, 0, 0),
        frame_rate: (0, 0),
        mime: "vp09.02.31.10",
    },
    Sample {
        made_by: "-i sine=r=44100:d=0.3 -ac 2 -c:a aac",
        codec: Codec::Aac,
        config: "121056e500",
        params: audio(44100, 2, Some(1024)),
        frame_rate: (0, 0),
        mime: "mp4a.40.2",
    },
    Sample {
        made_by: "-i sine=r=48000:d=0.3 -ac 1 -c:a aac",
        codec: Codec::Aac,
        config: "118856e500",
        params: audio(48000, 1, Some(1024)),
        frame_rate: (0, 0),
        mime: "mp4a.40.2",
    },
    Sample {
        made_by: "-i sine=r=48000:d=0.3 -ac 6 -c:a aac",
        codec: Codec::Aac,
        config: "11b056e500",
        params: audio(48000, 6, Some(1024)),
        frame_rate: (0, 0),
        mime: "mp4a.40.2",
    },
    Sample {
        made_by: "-i sine=r=96000:d=0.3 -ac 8 -c:a aac",
        codec: Codec::Aac,
        config: "103856e500",
        params: audio(96000, 8, Some(1024)),
        frame_rate: (0, 0),
        mime: "mp4a.40.2",
    },
    Sample {
        made_by: "-i sine=r=16000:d=0.3 -ac 1 -c:a aac",
        codec: Codec::Aac,
        config: "140856e500",
        params: audio(16000, 1, Some(1024)),
        frame_rate: (0, 0),
        mime: "mp4a.40.2",
    },
    Sample {
        made_by: "-i sine=r=48000:d=0.3 -af 'pan=3.1|c0=c0|c1=c0|c2=c0|c3=c0' -c:a aac",
        codec: Codec::Aac,
        config: "118004c8010020000d4c61766335392e33372e31303056e500",
        params: audio(48000, 4, Some(1024)),
        frame_rate: (0, 0),
        mime: "mp4a.40.2",
    },
    Sample {
        made_by: "-i sine=r=48000:d=0.3 -af 'pan=6.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0|c6=c0' -c:a aac",
        codec: Codec::Aac,
        config: "118004c848002000c4400d4c61766335392e33372e31303056e500",
        params: audio(48000, 7, Some(1024)),
        frame_rate: (0, 0),
        mime: "mp4a.40.2",
    },
    Sample {
        made_by: "-i sine=r=48000:d=0.3 -ac 2 -c:a libopus",
        codec: Codec::Opus,
        config: "4f707573486561640102380180bb0000000000",
        params: audio(48000, 2, None),
        frame_rate: (0, 0),
        mime: "opus",
    },
    Sample {
        made_by: "-i sine=r=48000:d=0.3 -ac 6 -c:a libopus",
        codec: Codec::Opus,
        config: "4f707573486561640106380180bb00000000010402000401020305",
        params: audio(48000, 6, None),
        frame_rate: (0, 0),
        mime: "opus",
    },
];
