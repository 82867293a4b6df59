"""Draws the picture of the test fixtures, and reads the frame numbers out of decoded ones; raw RGB frames both ways.

    fixture_picture.py draw  WIDTH HEIGHT FRAMES FIRST  > frames
    fixture_picture.py check WIDTH HEIGHT FRAMES FIRST  < frames     fails unless every frame is there, in order

The top eighth of the picture is a row of sixteen equal blocks: the frame number, counted from FIRST, in binary, most
significant bit first, white for one. The centre of a block survives any bitrate. Below it a square wanders over a slope of
colour, so that every frame differs from its neighbours by more than the number.
"""

import sys

import numpy

BITS = 16


def draw(width, height, count, first):
    strip = height // 8
    y, x = numpy.mgrid[0:height, 0:width]
    slope = numpy.stack((40 + 120 * x / width, 60 + 60 * y / height, 150 - 80 * x / width), axis=2).astype("uint8")
    bit_of_column = BITS - 1 - numpy.arange(width) * BITS // width
    side = min(width, height) // 4
    for number in range(first, first + count):
        frame = slope.copy()
        frame[:strip] = numpy.where(number >> bit_of_column & 1, 255, 0)[None, :, None]
        left = abs((number * 3) % (2 * (width - side)) - (width - side))
        top = strip + abs((number * 2) % (2 * (height - strip - side)) - (height - strip - side))
        frame[top : top + side, left : left + side] = (255, 107, 94)
        sys.stdout.buffer.write(frame.tobytes())


def check(width, height, count, first):
    frames = numpy.frombuffer(sys.stdin.buffer.read(), "uint8").reshape(-1, height, width, 3)
    centres = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    blocks = frames[:, height // 16, centres, 1] > 127
    numbers = (blocks * (1 << numpy.arange(BITS - 1, -1, -1))).sum(axis=1)
    expected = numpy.arange(first, first + count)
    if not numpy.array_equal(numbers, expected):
        sys.exit(f"the pictures are numbered {numbers.tolist()}, not {first} to {first + count - 1}")


def main():
    if len(sys.argv) != 6 or sys.argv[1] not in ("draw", "check"):
        sys.exit(__doc__)
    {"draw": draw, "check": check}[sys.argv[1]](*map(int, sys.argv[2:]))


if __name__ == "__main__":
    main()
