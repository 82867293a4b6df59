"""The sound of the demo broadcast: a short note on each whole second, higher and longer on the whole minute.

    demo_sound.py pcm  > sound.s16le     more than two loops of 120 s, 48 kHz, stereo
    demo_sound.py loop < sound.adts      the AAC frames of exactly one loop, cut out of the middle

A minute is 2812.5 AAC frames, so the shortest loop without a seam is two minutes: 5625 frames. Cutting it out of a longer
encode leaves the encoder's priming behind and gives the first frame a true neighbour.
"""

import sys

import numpy

RATE, FRAME, LOOP_SECONDS = 48_000, 1_024, 120
LOOP_FRAMES = LOOP_SECONDS * RATE // FRAME


def note(frequency, seconds):
    """A struck note: two milliseconds of attack, so that its beginning can be measured, then a decay to silence."""
    t = numpy.arange(int(seconds * RATE)) / RATE
    tone = sum(a * numpy.sin(2 * numpy.pi * frequency * k * t) for k, a in ((1, 1.0), (2, 0.35), (3, 0.12)))
    return 0.5 * tone * numpy.minimum(1, t / 0.002) * numpy.exp(-5 * t / seconds) * (1 - t / seconds)


def pcm():
    second, minute = note(880, 0.18), note(1318.5, 0.45)
    loop = numpy.zeros(LOOP_SECONDS * RATE)
    for start in range(LOOP_SECONDS):
        sound = minute if start % 60 == 0 else second
        loop[start * RATE : start * RATE + len(sound)] = sound
    mono = numpy.concatenate((loop, loop, loop[: 4 * FRAME]))
    return numpy.repeat(numpy.round(mono * 32767).astype("<i2"), 2).tobytes()


def frames(adts):
    """The frames of an ADTS stream, headers included."""
    at = 0
    while at + 7 <= len(adts):
        size = (adts[at + 3] & 3) << 11 | adts[at + 4] << 3 | adts[at + 5] >> 5
        yield adts[at : at + size]
        at += size


def main():
    if sys.argv[1:] == ["pcm"]:
        sys.stdout.buffer.write(pcm())
    elif sys.argv[1:] == ["loop"]:
        priming = 1
        first = priming + LOOP_FRAMES
        kept = list(frames(sys.stdin.buffer.read()))[first : first + LOOP_FRAMES]
        assert len(kept) == LOOP_FRAMES, len(kept)
        sys.stdout.buffer.write(b"".join(kept))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
