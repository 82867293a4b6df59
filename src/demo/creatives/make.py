"""Draws the demonstration's creatives: python3 make.py, beside this file. Those of the bidders outside become PNG, by ffmpeg.

Letters are strokes of our own, because the worker that draws a creative has no fonts.
"""

import os
import subprocess

# Strokes of each letter in a box of width 1 (unless told) and height 1.4, as SVG path data.
LETTERS = {
    'A': 'M0 1.4 L.5 0 L1 1.4 M.2 .92 L.8 .92',
    'B': 'M0 0 L0 1.4 L.55 1.4 A.36 .36 0 0 0 .55 .66 L0 .66 M.5 .66 A.33 .33 0 0 0 .5 0 L0 0',
    'C': 'M.95 .25 A.55 .7 0 1 0 .95 1.15',
    'D': 'M0 0 L0 1.4 L.4 1.4 A.6 .7 0 0 0 .4 0 Z',
    'E': 'M.85 0 L0 0 L0 1.4 L.85 1.4 M0 .68 L.7 .68',
    'F': 'M.85 0 L0 0 L0 1.4 M0 .68 L.7 .68',
    'G': 'M.95 .25 A.55 .7 0 1 0 1 .8 L.6 .8',
    'H': 'M0 0 L0 1.4 M.9 0 L.9 1.4 M0 .68 L.9 .68',
    'I': 'M.1 0 L.1 1.4',
    'K': 'M0 0 L0 1.4 M.9 0 L.05 .8 M.3 .58 L.95 1.4',
    'L': 'M0 0 L0 1.4 L.8 1.4',
    'M': 'M0 1.4 L0 0 L.6 .9 L1.2 0 L1.2 1.4',
    'N': 'M0 1.4 L0 0 L.95 1.4 L.95 0',
    'O': 'M.55 0 A.55 .7 0 1 0 .56 0 Z',
    'P': 'M0 1.4 L0 0 L.5 0 A.38 .38 0 0 1 .5 .76 L0 .76',
    'R': 'M0 1.4 L0 0 L.5 0 A.36 .36 0 0 1 .5 .72 L0 .72 M.45 .72 L.95 1.4',
    'S': 'M.82 .2 A.42 .36 0 1 0 .45 .68 A.44 .37 0 1 1 .03 1.18',
    'T': 'M0 0 L1 0 M.5 0 L.5 1.4',
    'U': 'M0 0 L0 .9 A.45 .5 0 0 0 .9 .9 L.9 0',
    'V': 'M0 0 L.5 1.4 L1 0',
    'W': 'M0 0 L.35 1.4 L.7 .3 L1.05 1.4 L1.4 0',
    'Y': 'M0 0 L.5 .7 L1 0 M.5 .7 L.5 1.4',
    '.': 'M.05 1.4 L.06 1.4',
    '-': 'M.05 .75 L.55 .75',
}
WIDTHS = {'I': .2, 'M': 1.2, 'W': 1.4, 'L': .8, 'E': .85, 'F': .8, 'S': .88, '.': .12, '-': .6, 'O': 1.1, 'C': 1, 'U': .9,
          'N': .95, 'H': .9}


def text(words, x, y, size, colour, weight=.16, gap=.34):
    """Words from x, y (their upper left), `size` pixels an em of width; gives the SVG and where it ends."""
    parts = []
    for letter in words:
        if letter == ' ':
            x += size * .7
            continue
        parts.append(f'<path transform="translate({x:.1f} {y:.1f}) scale({size})" d="{LETTERS[letter]}"/>')
        x += size * (WIDTHS.get(letter, 1) + gap)
    style = f'fill="none" stroke="{colour}" stroke-width="{weight}" stroke-linecap="round" stroke-linejoin="round"'
    return f'<g {style}>{"".join(parts)}</g>', x


def cup(x, y, s, dark, cream, gold):
    """A cup before a rising sun, of size s."""
    rays = ''.join(f'<rect x="-5" y="{-s * .62:.0f}" width="10" height="{s * .14:.0f}" rx="5" '
                   f'transform="rotate({angle})"/>' for angle in range(-75, 76, 25))
    return (f'<g transform="translate({x} {y})"><g fill="{gold}"><circle r="{s * .4:.0f}"/>{rays}</g>'
            f'<path fill="{cream}" d="M{-s * .36:.0f} 0H{s * .36:.0f}V{s * .14:.0f}A{s * .36:.0f} {s * .36:.0f} 0 0 1 '
            f'{-s * .36:.0f} {s * .14:.0f}Z"/><path fill="none" stroke="{cream}" stroke-width="{s * .08:.0f}" '
            f'd="M{s * .36:.0f} {s * .06:.0f}h{s * .06:.0f}a{s * .12:.0f} {s * .12:.0f} 0 0 1 0 {s * .24:.0f}h{-s * .12:.0f}"/>'
            f'<rect fill="{cream}" x="{-s * .5:.0f}" y="{s * .56:.0f}" width="{s}" height="{s * .07:.0f}" rx="{s * .035:.0f}"/></g>')


def wheel(x, y, r, colour):
    spokes = ''.join(f'<path d="M0 0L0 {-r}" transform="rotate({angle})"/>' for angle in range(0, 360, 30))
    return (f'<g transform="translate({x} {y})" fill="none" stroke="{colour}"><circle r="{r}" stroke-width="{r * .12:.1f}"/>'
            f'<g stroke-width="{r * .025:.1f}">{spokes}</g><circle r="{r * .1:.1f}" stroke-width="{r * .1:.1f}"/></g>')


def bicycle(x, y, r, colour, accent):
    frame = (f'M0 0L{r * 1.05:.0f} {-r * 1.35:.0f}L{r * 2.35:.0f} {-r * 1.35:.0f}L{r * 1.3:.0f} 0Z'
             f'M{r * 1.3:.0f} 0L{r * .9:.0f} {-r * 1.65:.0f}M{r * .65:.0f} {-r * 1.65:.0f}H{r * 1.2:.0f}'
             f'M{r * 2.7:.0f} 0L{r * 2.25:.0f} {-r * 1.75:.0f}H{r * 2.65:.0f}')
    return (wheel(x, y, r, colour) + wheel(x + r * 2.7, y, r, colour) +
            f'<path transform="translate({x} {y})" d="{frame}" fill="none" stroke="{accent}" stroke-width="{r * .15:.1f}" '
            'stroke-linecap="round" stroke-linejoin="round"/>')


def svg(name, width, height, body):
    with open(f'{name}.svg', 'w') as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{body}</svg>\n')


def coffee():
    dark, cream, gold, red = '#2b1a12', '#fff3df', '#f6b042', '#d9512c'
    shade = ('<linearGradient id="g" x1="0" x2="1"><stop offset="0" stop-color="#3a2318"/>'
             f'<stop offset="1" stop-color="{red}"/></linearGradient>')
    title, end = text('ALBA COFFEE', 430, 74, 74, cream)
    line, _ = text('GOOD MORNING FROM THE HILLS', 434, 222, 27, gold, weight=.17)
    button, _ = text('TRY IT', 1586, 140, 31, dark, weight=.2)
    svg('coffee-lower_third', 1920, 324,
        f'<defs>{shade}</defs><rect x="40" y="24" width="1840" height="276" rx="36" fill="url(#g)" fill-opacity=".94"/>'
        + cup(230, 168, 190, dark, cream, gold) + title + line
        + f'<rect x="1550" y="104" width="290" height="116" rx="58" fill="{gold}"/>' + button)
    title, _ = text('ALBA', 108, 250, 62, cream)
    svg('coffee-corner', 480, 400,
        f'<rect x="16" y="16" width="448" height="368" rx="36" fill="{dark}" fill-opacity=".93"/>'
        + cup(240, 140, 150, dark, cream, gold) + title)


def bike():
    night, mint, white = '#0c2b33', '#3fe0b0', '#f3fffb'
    title, _ = text('VELO CITY', 640, 74, 78, white)
    line, _ = text('A BICYCLE FOR EVERY STREET', 644, 226, 27, mint, weight=.17)
    svg('bike-lower_third', 1920, 324,
        f'<rect x="40" y="24" width="1840" height="276" rx="36" fill="{night}" fill-opacity=".94"/>'
        + bicycle(180, 204, 74, white, mint) + title + line
        + f'<path d="M1700 96l80 66-80 66" fill="none" stroke="{mint}" stroke-width="22" stroke-linecap="round" stroke-linejoin="round"/>')


def peaks(x, y, s, near, far, snow, sun):
    """Two mountains before a low sun, on a ground line at y, s high."""
    return (f'<g transform="translate({x} {y})"><circle cx="{s * .95:.0f}" cy="{-s * .62:.0f}" r="{s * .3:.0f}" fill="{sun}"/>'
            f'<path fill="{far}" d="M{s * .4:.0f} 0L{s * 1.1:.0f} {-s * .82:.0f}L{s * 1.9:.0f} 0Z"/>'
            f'<path fill="{near}" d="M0 0L{s * .72:.0f} {-s}L{s * 1.45:.0f} 0Z"/>'
            f'<path fill="{snow}" d="M{s * .72:.0f} {-s}L{s * .45:.0f} {-s * .62:.0f}l{s * .14:.0f} {s * .08:.0f}l{s * .12:.0f} {-s * .12:.0f}'
            f'l{s * .12:.0f} {s * .13:.0f}l{s * .13:.0f} {-s * .09:.0f}Z"/></g>')


def tent(x, y, s, cloth, shade):
    return (f'<g transform="translate({x} {y})"><path fill="{cloth}" d="M0 0L{s * .7:.0f} {-s * .72:.0f}L{s * 1.4:.0f} 0Z"/>'
            f'<path fill="{shade}" d="M{s * .7:.0f} {-s * .72:.0f}L{s * .52:.0f} 0H{s * .9:.0f}Z"/></g>')


def bars(x, y, heights, width, colour):
    """Sound as bars around a middle line."""
    step = width * 1.8
    return f'<g fill="{colour}">' + ''.join(
        f'<rect x="{x + at * step:.0f}" y="{y - height / 2:.0f}" width="{width}" height="{height}" rx="{width / 2:.0f}"/>'
        for at, height in enumerate(heights)) + '</g>'


def png(name, width, height, body):
    svg(name, width, height, body)
    subprocess.run(['ffmpeg', '-loglevel', 'error', '-y', '-i', f'{name}.svg', '-update', '1', f'{name}.png'], check=True)
    os.remove(f'{name}.svg')


def outdoor():
    dusk, slate, ice, amber, rust = '#1d2b44', '#46608a', '#eef4fb', '#ffb457', '#e2603b'
    title, _ = text('NORDKAP', 640, 70, 84, ice)
    line, _ = text('TENTS FOR THE LONG WAY HOME', 644, 228, 27, amber, weight=.17)
    png('outdoor-lower_third', 1920, 324,
        f'<rect x="40" y="24" width="1840" height="276" rx="36" fill="{dusk}" fill-opacity=".95"/>'
        + peaks(110, 276, 220, slate, '#33486c', ice, amber) + tent(1615, 262, 150, rust, '#8d3319') + title + line)
    title, _ = text('NORDKAP', 96, 378, 76, ice)
    png('outdoor-corner', 960, 540,
        f'<rect x="16" y="16" width="928" height="508" rx="48" fill="{dusk}" fill-opacity=".96"/>'
        + peaks(190, 330, 260, slate, '#33486c', ice, amber) + tent(630, 330, 170, rust, '#8d3319') + title)


def radio():
    plum, rose, cream, teal = '#2b1436', '#ff5d8f', '#fff4ea', '#4fd1c5'
    title, _ = text('NOVA RADIO', 560, 70, 80, cream)
    line, _ = text('ALL NIGHT. NO BREAK.', 564, 226, 29, teal, weight=.17)
    png('radio-lower_third', 1920, 324,
        f'<rect x="40" y="24" width="1840" height="276" rx="36" fill="{plum}" fill-opacity=".95"/>'
        + bars(110, 162, [60, 120, 190, 140, 210, 160, 90, 130, 60], 22, rose) + title + line
        + f'<circle cx="1760" cy="162" r="66" fill="{rose}"/><path fill="{cream}" d="M1738 124l60 38-60 38Z"/>')


coffee()
bike()
outdoor()
radio()
