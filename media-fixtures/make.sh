#!/usr/bin/env bash
# Makes the demo clip and the test fixtures of this folder: make.sh [demo|fixtures]...
# Only needed to change them: the results are committed. Needs, beside the test packages (make install-test), Debian's
# python3-numpy, python3-pil and fonts-inter; PYTHON names another interpreter, FONTS another folder of the Inter fonts.
set -euo pipefail
cd "$(dirname "$0")"
python="${PYTHON:-python3}"
ffmpeg=(ffmpeg -hide_banner -loglevel error -nostdin -y)
enhanced=(../.tools/bin/ffmpeg-enhanced -hide_banner -loglevel error -nostdin -y)
# Nothing of the machine or the day in the files.
exact=(-fflags +bitexact -flags:v +bitexact -flags:a +bitexact -map_metadata -1)
# The colours that players assume, in the samples and in the headers.
colour=(-vf "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p" -colorspace bt709 -color_primaries bt709
    -color_trc bt709 -color_range tv)
export SVT_LOG=1 # errors only, from the AV1 encoder
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Two minutes: the minute of picture twice, and as many AAC frames as fill two minutes exactly.
demo() {
    "$python" demo_picture.py |
        "${ffmpeg[@]}" -f rawvideo -pixel_format rgb24 -video_size 1280x720 -framerate 30 -i - \
            "${colour[@]}" -c:v libx264 -preset veryslow -tune animation \
            -profile:v high -level 3.1 -crf "${CRF:-28}" \
            -bf 0 -g 60 -keyint_min 60 -sc_threshold 0 -x264-params threads=2:ref=5 \
            "${exact[@]}" -f h264 "$work/minute.h264"
    cat "$work/minute.h264" "$work/minute.h264" >"$work/demo.h264"
    "$python" demo_sound.py pcm |
        "${ffmpeg[@]}" -f s16le -ar 48000 -ac 2 -i - -c:a aac -b:a 64k "${exact[@]}" -f adts - |
        "$python" demo_sound.py loop >"$work/demo.aac"
    "${ffmpeg[@]}" -framerate 30 -i "$work/demo.h264" -i "$work/demo.aac" -map 0:v -map 1:a -c copy \
        -bsf:a aac_adtstoasc "${exact[@]}" -flvflags no_duration_filesize demo.flv
}

# sound SECONDS RATE: a source of sound with a beep at each whole second.
sound() { echo "aevalsrc=0.3*sin(2*PI*880*t)*lt(mod(t\,1)\,0.1)|0.3*sin(2*PI*660*t)*lt(mod(t\,1)\,0.1):s=$2:d=$1"; }

# fixture NAME SIZE RATE SECONDS FIRST SOUND_RATE ENCODING...: makes NAME.flv of pictures numbered from FIRST (unless SIZE
# is -) and sound (unless SOUND_RATE is -), decodes it again, and fails unless every picture is there, in order. `coder` is
# the ffmpeg that does it, `suffix` another ending than flv.
fixture() {
    local file="$1.${suffix:-flv}" size="$2" rate="$3" seconds="$4" first="$5" sound_rate="$6" inputs=() picture=()
    shift 6
    if [ "$size" != - ]; then
        picture=("${size%x*}" "${size#*x}" $((rate * seconds)) "$first")
        inputs+=(-f rawvideo -pixel_format rgb24 -video_size "$size" -framerate "$rate" -i "$work/picture.rgb")
        "$python" fixture_picture.py draw "${picture[@]}" >"$work/picture.rgb"
    fi
    if [ "$sound_rate" != - ]; then
        inputs+=(-f lavfi -i "$(sound "$seconds" "$sound_rate")")
    fi
    "${coder[@]}" "${inputs[@]}" "$@" "${exact[@]}" "$file"
    if [ "$size" != - ]; then
        "${coder[@]}" -i "$file" -map 0:v -fps_mode passthrough -f rawvideo -pix_fmt rgb24 - |
            "$python" fixture_picture.py check "${picture[@]}"
    fi
    echo "$file"
}

# tone NAME SECONDS RATE CHANNELS: makes NAME.flv of a note of 1 kHz without a break.
tone() {
    "${ffmpeg[@]}" -f lavfi -i "aevalsrc=0.3*sin(2*PI*1000*t):s=$3:d=$2" -ac "$4" -c:a aac -b:a 128k "${exact[@]}" "$1.flv"
    echo "$1.flv"
}

# surround: makes aac-51.flv, whose speakers beep at different seconds; the one for the depths and the two behind are silent.
surround() {
    local beep="0.3*sin(2*PI*%s*t)*lt(mod(t+%s\\,%s)\\,0.1)" left right middle
    # shellcheck disable=SC2059 # the format is the one above
    left="$(printf "$beep" 880 0 2)" right="$(printf "$beep" 660 0 1)" middle="$(printf "$beep" 1000 1 2)"
    "${ffmpeg[@]}" -f lavfi -i "aevalsrc=$left|$right|$middle|0|0|0:s=48000:d=6:c=5.1" -c:a aac -b:a 128k "${exact[@]}" aac-51.flv
    echo aac-51.flv
}

# bench: makes bench-sound.aac, which `onair bench` publishes over and over.
bench() {
    "${ffmpeg[@]}" -f lavfi -i "anoisesrc=d=2:c=pink:r=48000:a=0.4:seed=1" -f lavfi -i "aevalsrc=0.2*sin(2*PI*330*t):s=48000:d=2" \
        -filter_complex amerge -c:a aac -b:a 100k "${exact[@]}" -f adts bench-sound.aac
    echo bench-sound.aac
}

fixtures() {
    bench
    surround
    tone tone       2 48000 1
    tone tone-44100 2 44100 2
    local coder=("${ffmpeg[@]}")
    local h264=("${colour[@]}" -c:v libx264 -preset veryslow -crf 32 -sc_threshold 0 -x264-params threads=1)
    local plain=("${h264[@]}" -bf 0) reordered=("${h264[@]}" -bf 3 -b_strategy 0)
    local aac=(-c:a aac -b:a 48k)
    #       name                 size     rate s  first sound  encoding
    fixture h264-aac             320x180  30   6  0     48000  "${plain[@]}" -g 60 "${aac[@]}"
    fixture h264-bframes-aac     320x180  30   6  0     48000  "${reordered[@]}" -g 60 "${aac[@]}"
    fixture h264-open-gop-aac    320x180  30   6  0     48000  "${reordered[@]}" -g 60 -flags:v -cgop -x264-params threads=1:open-gop=1 "${aac[@]}"
    fixture short                320x180  30   2  0     48000  "${plain[@]}" -g 30 "${aac[@]}"
    fixture short-bframes        320x180  30   2  0     48000  "${reordered[@]}" -g 30 "${aac[@]}"
    fixture audio-only           -        -    6  -     48000  "${aac[@]}"
    fixture video-only           320x180  30   6  0     -      "${plain[@]}" -g 60
    fixture gop-10s              320x180  30   20 0     48000  "${plain[@]}" -g 300 "${aac[@]}"
    fixture gop-endless          320x180  30   20 0     48000  "${plain[@]}" -g 100000 "${aac[@]}"
    fixture resolution-1         320x180  30   4  0     48000  "${plain[@]}" -g 60 "${aac[@]}"
    fixture resolution-2         480x270  30   4  120   48000  "${plain[@]}" -g 60 "${aac[@]}"
    fixture 4fps                 320x180  4    12 0     48000  "${plain[@]}" -g 8 "${aac[@]}"
    fixture 60fps                320x180  60   6  0     48000  "${plain[@]}" -g 120 "${aac[@]}"
    fixture portrait             176x320  30   4  0     48000  "${plain[@]}" -g 60 "${aac[@]}"
    fixture aac-44100            320x180  30   6  0     44100  "${plain[@]}" -g 60 "${aac[@]}"
    # FLV has no VP8.
    suffix=ivf fixture vp8       320x180  30   6  0     -      -c:v libvpx -b:v 200k -crf 30 -g 60 -deadline good -cpu-used 3 -threads 1

    # Enhanced RTMP's codecs, which Debian 12's ffmpeg cannot put into FLV.
    coder=("${enhanced[@]}")
    local opus=(-c:a libopus -b:a 48k)
    local hevc=("${colour[@]}" -c:v libx265 -preset slow -crf 32 -g 60 -x265-params log-level=error:pools=1:frame-threads=1:scenecut=0:open-gop=0)
    local av1=("${colour[@]}" -c:v libsvtav1 -preset 6 -crf 45 -g 60 -svtav1-params pred-struct=1:lp=1)
    local vp9=("${colour[@]}" -c:v libvpx-vp9 -b:v 0 -crf 45 -g 60 -deadline good -cpu-used 3 -lag-in-frames 0 -row-mt 0 -threads 1)
    fixture hevc-aac             320x180  30   6  0     48000  "${hevc[@]}" -bf 0 "${aac[@]}"
    fixture hevc-bframes-aac     320x180  30   6  0     48000  "${hevc[@]}" -bf 3 "${aac[@]}"
    fixture av1-opus             320x180  30   6  0     48000  "${av1[@]}" "${opus[@]}"
    fixture av1-aac              320x180  30   6  0     48000  "${av1[@]}" "${aac[@]}"
    fixture vp9-opus             320x180  30   6  0     48000  "${vp9[@]}" "${opus[@]}"
    fixture h264-opus            320x180  30   6  0     48000  "${plain[@]}" -g 60 "${opus[@]}"
}

for what in "${@:-demo fixtures}"; do
    for one in $what; do "$one"; done
done
