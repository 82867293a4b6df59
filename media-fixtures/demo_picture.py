"""Draws the demo broadcast: one minute of picture as raw RGB frames on standard output, or one frame as a PNG.

    demo_picture.py                 1800 frames of 1280x720 rgb24, 30 a second
    demo_picture.py FRAME FILE.png  one frame, to look at

The picture is made to be measured by eye and by machine: the large number is the second of the minute, the dial and the
ball reach their marks on each whole second, the disc flashes white there, and the row of sixteen blocks at the bottom is
the frame number of the minute in binary, most significant bit first, white for one.
"""

import math
import os
import sys
from functools import lru_cache

import numpy
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, RATE, SECONDS = 1280, 720, 30, 60
FONTS = os.environ.get("FONTS", "/usr/share/fonts/opentype/inter")
SMOOTH = 4  # drawn this much larger and scaled down, for soft edges

WHITE, CORAL, SAND, INK = (255, 255, 255), (255, 107, 94), (255, 214, 170), (13, 14, 40)
DIM, LILAC = (92, 88, 150), (222, 212, 240)

DIAL, RADIUS, BOX = (356, 322), 232, 540  # centre, radius, and side of the square that is redrawn
GROUND, BOUNCE, BALL = 560, 250, 30  # height of the floor, of the bounce, and the ball's radius
BALL_LEFT, BALL_RIGHT, BALL_PERIOD = 716, 1164, 20  # seconds for there and back
BLOCK, BLOCK_PITCH, BLOCK_TOP = 22, 30, 676
FLASH = 3  # frames
WORDMARK, LAMP = (700, 138), (912, 58)


@lru_cache(None)
def font(face, size):
    return ImageFont.truetype(f"{FONTS}/{face}.otf", size)


def mix(a, b, t):
    return tuple(x + (y - x) * t for x, y in zip(a, b))


def gradient(stops, count):
    """`count` colours between (position, colour) stops, blended smoothly."""
    rows = numpy.zeros((count, 3))
    for i in range(count):
        at = i / (count - 1)
        for (p, a), (q, b) in zip(stops, stops[1:]):
            if p <= at <= q:
                t = (at - p) / (q - p)
                rows[i] = mix(a, b, t * t * (3 - 2 * t))
    return rows


def background():
    """Evening sky, a few stars, three ranges of hills, the wordmark and the still part of the dial."""
    noise = numpy.random.default_rng(7)
    sky = gradient(
        [(0, (14, 16, 52)), (0.38, (47, 33, 98)), (0.62, (122, 56, 122)), (0.80, (222, 112, 118)), (1, (255, 186, 140))],
        HEIGHT,
    )
    pixels = numpy.repeat(sky[:, None, :], WIDTH, axis=1)
    # The light comes from the lower right, where the sun has just gone.
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    glow = numpy.exp(-(((x - 980) / 520) ** 2 + ((y - 600) / 250) ** 2))[:, :, None]
    pixels = pixels + glow * (numpy.array((255, 190, 150)) - pixels) * 0.38
    # Half a level of noise keeps the eight-bit gradient from showing bands.
    pixels += noise.uniform(-0.5, 0.5, (HEIGHT, WIDTH, 1))
    image = Image.fromarray(numpy.clip(numpy.round(pixels), 0, 255).astype("uint8"))

    over = Image.new("RGBA", (WIDTH * SMOOTH, HEIGHT * SMOOTH))
    draw = ImageDraw.Draw(over)
    for _ in range(70):
        sx, sy, r = noise.uniform(0, WIDTH), noise.uniform(0, 300), noise.uniform(0.6, 1.5)
        shade = int(noise.uniform(60, 170) * (1 - sy / 360))
        draw.ellipse([v * SMOOTH for v in (sx - r, sy - r, sx + r, sy + r)], fill=(255, 240, 230, shade))
    for base, height, phase, colour in (
        (520, 62, 0.4, (112, 52, 112)),
        (560, 44, 2.1, (70, 36, 92)),
        (612, 26, 4.4, (30, 22, 62)),
    ):
        def ridge(px):
            return base - height * (0.6 * math.sin(px / 211 + phase) + 0.4 * math.sin(px / 97 + 2 * phase))

        top = [(px * SMOOTH, ridge(px) * SMOOTH) for px in range(0, WIDTH + 8, 4)]
        draw.polygon([(0, HEIGHT * SMOOTH), *top, (WIDTH * SMOOTH, HEIGHT * SMOOTH)], fill=(*colour, 255))
    over = over.resize((WIDTH, HEIGHT), Image.LANCZOS)
    image.paste(over, (0, 0), over)

    draw = ImageDraw.Draw(image)
    # The i has no dot: the lamp is its dot.
    draw.text(WORDMARK, "ona\u0131r", font=font("InterDisplay-Bold", 118), fill=WHITE, anchor="ls")
    draw.text((704, 192), "compare with your clock", font=font("Inter-Medium", 36), fill=LILAC, anchor="ls")
    return image


def smooth_mask(size, paint):
    """A soft-edged mask: `paint` draws on a canvas SMOOTH times as large."""
    big = Image.new("L", (size[0] * SMOOTH, size[1] * SMOOTH))
    paint(ImageDraw.Draw(big))
    return big.resize(size, Image.BOX)


def disc_mask(size, x, y, r, squash=1.0):
    box = [v * SMOOTH for v in (x - r / squash**0.5, y - r * squash, x + r / squash**0.5, y + r * squash)]
    return smooth_mask(size, lambda draw: draw.ellipse(box, fill=255))


class Picture:
    def __init__(self):
        self.still = background()
        self.corner = (DIAL[0] - BOX // 2, DIAL[1] - BOX // 2)
        self.disc = disc_mask((BOX, BOX), BOX / 2, BOX / 2, RADIUS - 40)
        face = self.still.crop((*self.corner, self.corner[0] + BOX, self.corner[1] + BOX))
        shade = self.disc.point(lambda v: int(v * 0.62))
        face.paste(INK, (0, 0), shade)
        self.face = face

    @lru_cache(2)
    def ticks(self, second):
        """The dial with the ticks of this minute lit up to `second`."""
        image = self.face.copy()
        for lit, colour in ((False, DIM), (True, SAND)):
            def paint(draw):
                for tick in range(60):
                    if (tick <= second) != lit:
                        continue
                    turn = math.radians(tick * 6)
                    inner = RADIUS - (26 if tick % 5 == 0 else 17)
                    ends = [(BOX / 2 + r * math.sin(turn), BOX / 2 - r * math.cos(turn)) for r in (inner, RADIUS)]
                    width = 7 if tick % 5 == 0 else 5
                    draw.line([(px * SMOOTH, py * SMOOTH) for px, py in ends], fill=255, width=width * SMOOTH)
            image.paste(colour, (0, 0), smooth_mask((BOX, BOX), paint))
        return image

    @lru_cache(4)
    def digits(self, second):
        """Mask of the two digits, each in a cell of its own so that nothing jumps."""
        mask = Image.new("L", (BOX, BOX))
        draw = ImageDraw.Draw(mask)
        for digit, x in zip(f"{second:02}", (-82, 82)):
            draw.text((BOX / 2 + x, BOX / 2 + 92), digit, font=font("InterDisplay-Bold", 256), fill=255, anchor="ms")
        return mask

    def frame(self, number):
        second, part = divmod(number, RATE)
        phase = part / RATE
        image = self.still.copy()

        # The dial. Three white frames and back at once: a fade would cost more bytes than all other motion.
        flash = part < FLASH
        dial = self.ticks(second).copy()
        if flash:
            dial.paste(WHITE, (0, 0), self.disc)
        dial.paste(INK if flash else WHITE, (0, 0), self.digits(second))
        turn = math.radians((second + phase) * 6)
        at = (BOX / 2 + (RADIUS + 18) * math.sin(turn), BOX / 2 - (RADIUS + 18) * math.cos(turn))
        dial.paste(CORAL, (0, 0), disc_mask((BOX, BOX), *at, 10))
        image.paste(dial, self.corner)

        # The ball touches the ground on the whole second, and is flattened there for a moment.
        height = 4 * phase * (1 - phase)
        there = ((second + phase) / BALL_PERIOD * 2) % 2
        x = BALL_LEFT + (BALL_RIGHT - BALL_LEFT) * (there if there < 1 else 2 - there)
        squash = 1 - 0.28 * max(0.0, 1 - height / 0.14)
        y = GROUND - BALL * squash - BOUNCE * height
        spot = (int(x) - 64, int(y) - 64)
        # Shadow: wider and fainter as the ball rises.
        wide = 34 + 26 * height
        shadow = smooth_mask((160, 24), lambda draw: draw.ellipse(
            [v * SMOOTH for v in (x - int(x) + 80 - wide, 12 - wide / 7, x - int(x) + 80 + wide, 12 + wide / 7)], fill=255))
        image.paste((20, 12, 44), (int(x) - 80, GROUND - 8), shadow.point(lambda v: int(v * (0.6 - 0.42 * height))))
        ball = disc_mask((128, 128), x - int(x) + 64, y - int(y) + 64, BALL, squash)
        image.paste(SAND if flash else CORAL, spot, ball)
        glint = disc_mask((128, 128), x - int(x) + 55, y - int(y) + 64 - 11 * squash, 8)
        image.paste(WHITE if flash else (255, 190, 176), spot, glint)

        draw = ImageDraw.Draw(image)
        # The lamp of the wordmark breathes with the second.
        lamp = disc_mask((64, 64), 32, 32, 12 + 4 * (1 - phase) ** 3)
        image.paste(CORAL, (LAMP[0] - 32, LAMP[1] - 32), lamp)
        # The frame of the minute, for people and for machines.
        for digit, cell in zip(f"{number:04}", range(4)):
            draw.text((1034 + cell * 40, 692), digit, font=font("InterDisplay-SemiBold", 60), fill=WHITE, anchor="ms")
        draw.text((1000, 692), "frame", font=font("Inter-Medium", 36), fill=LILAC, anchor="rs")
        left = DIAL[0] - 8 * BLOCK_PITCH + (BLOCK_PITCH - BLOCK) // 2
        draw.rectangle([left - 8, BLOCK_TOP - 8, left + 15 * BLOCK_PITCH + BLOCK + 7, BLOCK_TOP + BLOCK + 7], fill=INK)
        for bit in range(16):
            colour = WHITE if number >> (15 - bit) & 1 else (0, 0, 0)
            corner = (left + bit * BLOCK_PITCH, BLOCK_TOP)
            draw.rectangle([*corner, corner[0] + BLOCK - 1, corner[1] + BLOCK - 1], fill=colour)
        return image


def main():
    picture = Picture()
    if len(sys.argv) == 3:
        picture.frame(int(sys.argv[1])).save(sys.argv[2])
        return
    for number in range(RATE * SECONDS):
        sys.stdout.buffer.write(picture.frame(number).tobytes())


if __name__ == "__main__":
    main()
