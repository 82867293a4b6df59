/**
 * Where an overlay and the picture go, and how far they have come at a moment. Pure. The rectangles are those of the server's
 * `src/overlay/placement.rs`, row by row, so that an overlay stands in the same place whoever draws it.
 */

export const FORMATS = ['lower_third', 'corner', 'l_shape', 'double_box'] as const
export type Format = (typeof FORMATS)[number]

export interface Size {
  width: number
  height: number
}

export interface Rect extends Size {
  x: number
  y: number
}

export interface Layout {
  /** Where the creative goes. */
  place: Rect
  /** Where the picture goes, if it does not stay as it is. */
  picture: Rect | null
}

/** Parts in a thousand of the picture: see the server's file for each. */
const LOWER_THIRD = 300
const QUARTER = 500
const MARGIN = 25
const BESIDE_L = 775
const SAME_SHAPE = 30
/** The smallest side of a picture that anything is placed on. */
const MIN_SIDE = 32
/** How long the picture takes to make room, and to come back, ms; and the part of a slot that this may take. */
const SQUEEZE_MS = 1000
/** The same for what comes over the picture. */
const APPEAR_MS = 300
const SHARE_OF_SLOT = 0.25

/** Places a creative on a picture of size `canvas`, in its pixels; null when either is too small. */
export function layoutOf(format: Format, canvas: Size, creative: Size): Layout | null {
  if (Math.min(canvas.width, canvas.height) < MIN_SIDE || creative.width <= 0 || creative.height <= 0) return null
  const even = { width: evenBelow(canvas.width), height: evenBelow(canvas.height) }
  switch (format) {
    case 'lower_third': {
      const height = share(even.height, LOWER_THIRD)
      const area = { x: 0, y: even.height - height, width: even.width, height }
      return { place: within(area, creative, 'low'), picture: null }
    }
    case 'corner': {
      const margin = share(Math.min(even.width, even.height), MARGIN)
      const [width, height] = [share(even.width, QUARTER), share(even.height, QUARTER)]
      const area = { x: even.width - width, y: margin, width: width - margin, height: height - margin }
      return { place: within(area, creative, 'upper right'), picture: null }
    }
    case 'l_shape':
      return lShape(even, creative)
    case 'double_box':
      return doubleBox(even, creative)
  }
}

/** Whether the picture makes room for it, rather than being covered. */
export function squeezes(format: Format): boolean {
  return format === 'l_shape' || format === 'double_box'
}

/** A rectangle of a picture in parts of that picture. */
export function relative(rect: Rect, canvas: Size): Rect {
  return {
    x: rect.x / canvas.width,
    y: rect.y / canvas.height,
    width: rect.width / canvas.width,
    height: rect.height / canvas.height,
  }
}

/** Where a picture of this shape lies in a box that shows all of it (`object-fit: contain`). */
export function contain(box: Size, picture: Size): Rect {
  const scale = Math.min(box.width / picture.width, box.height / picture.height)
  const [width, height] = [picture.width * scale, picture.height * scale]
  return { x: (box.width - width) / 2, y: (box.height - height) / 2, width, height }
}

export interface Point {
  x: number
  y: number
}

/** What moves and scales an element from its upper left corner. */
export interface Squeeze extends Point {
  scale: number
}

/**
 * How an element that shows the picture at `frame` (in its own pixels) is transformed to show it at `target` (in parts of the
 * picture). @param progress 0: not at all; 1: all the way.
 */
export function squeezeTo(target: Rect, frame: Rect, progress: number): Squeeze {
  // The picture keeps its shape, up to the rounding of its rows.
  const scale = 1 + (target.width - 1) * progress
  const left = frame.x + target.x * frame.width * progress
  const top = frame.y + target.y * frame.height * progress
  return { x: left - frame.x * scale, y: top - frame.y * scale, scale }
}

/**
 * How far an overlay has come in, or is not yet on its way out, from 0 to 1: by media time, so that it is gone with its last frame
 * and stands still when the picture does.
 */
export function progressAt(format: Format, startMs: number, endMs: number, timeMs: number): number {
  const longest = squeezes(format) ? SQUEEZE_MS : APPEAR_MS
  const transition = Math.min(longest, (endMs - startMs) * SHARE_OF_SLOT)
  const linear = Math.min(1, Math.max(0, Math.min(timeMs - startMs, endMs - timeMs) / transition))
  // Off and to rest gently.
  return linear * linear * (3 - 2 * linear)
}

function lShape(canvas: Size, creative: Size): Layout {
  const [width, height] = [share(canvas.width, BESIDE_L), share(canvas.height, BESIDE_L)]
  const picture = { x: canvas.width - width, y: 0, width, height }
  const whole = { x: 0, y: 0, ...canvas }
  if (sameShape(canvas, creative)) return { place: whole, picture }
  const foot = within({ ...whole, y: height, height: canvas.height - height }, creative, 'centre')
  const side = within({ ...whole, width: canvas.width - width }, creative, 'centre')
  return { place: areaOf(side) > areaOf(foot) ? side : foot, picture }
}

function doubleBox(canvas: Size, creative: Size): Layout {
  const wide = canvas.width >= canvas.height
  const width = wide ? share(canvas.width, QUARTER) : canvas.width
  const height = wide ? canvas.height : share(canvas.height, QUARTER)
  const first = { x: 0, y: 0, width, height }
  const second = wide
    ? { x: width, y: 0, width: canvas.width - width, height }
    : { x: 0, y: height, width, height: canvas.height - height }
  const [most, tallest] = [share(canvas.width, QUARTER), share(canvas.height, QUARTER)]
  const quarter = (half: Rect): Rect => ({
    x: half.x + centred(Math.max(0, half.width - most)),
    y: half.y + centred(Math.max(0, half.height - tallest)),
    width: Math.min(half.width, most),
    height: Math.min(half.height, tallest),
  })
  return { place: within(quarter(second), creative, 'centre'), picture: within(quarter(first), canvas, 'centre') }
}

/** The largest even rectangle of the creative's shape within an area. */
function within(area: Rect, creative: Size, align: 'centre' | 'low' | 'upper right'): Rect {
  const fullWidth = area.width * creative.height <= area.height * creative.width
  const width = fullWidth ? area.width : Math.min(area.width, evenNear(area.height * creative.width, creative.height))
  const height = fullWidth ? Math.min(area.height, evenNear(area.width * creative.height, creative.width)) : area.height
  const [spareX, spareY] = [area.width - width, area.height - height]
  const x = area.x + (align === 'upper right' ? spareX : centred(spareX))
  const y = area.y + (align === 'low' ? spareY : align === 'centre' ? centred(spareY) : 0)
  return { x, y, width, height }
}

function sameShape(canvas: Size, creative: Size): boolean {
  const [one, other] = [canvas.width * creative.height, canvas.height * creative.width]
  return Math.abs(one - other) * 1000 <= Math.max(one, other) * SAME_SHAPE
}

function areaOf({ width, height }: Size): number {
  return width * height
}

function evenBelow(length: number): number {
  return Math.floor(length / 2) * 2
}

/** An even part of a length. */
function share(length: number, permille: number): number {
  return evenBelow(Math.floor((length * permille) / 1000))
}

function evenNear(dividend: number, divisor: number): number {
  return Math.max(2, Math.floor((dividend + divisor) / (2 * divisor)) * 2)
}

function centred(spare: number): number {
  return Math.floor(spare / 4) * 2
}
