/** Hearts that rise over the picture, drawn on a canvas: hundreds cost no layout. */

import type { Burst } from './room.svelte.ts'

/** Of one burst, at most so many rise; the count tells the rest. */
const MAX_OF_BURST = 12
/** On the screen at one time. */
const MAX_RISING = 140
const RISE_MS = 3200
/** A heart's size, CSS px. */
const SIZE = 26

interface Rising {
  kind: string
  colour: string
  /** Where it starts, 0 to 1 of the width. */
  x: number
  sway: number
  phase: number
  scale: number
  from: number
}

export class Hearts {
  readonly #canvas: HTMLCanvasElement
  readonly #still = matchMedia('(prefers-reduced-motion: reduce)')
  #rising: Rising[] = []
  #frame = 0

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas
  }

  burst({ kind, hue, count }: Burst): void {
    if (this.#still.matches || document.hidden) return
    const now = performance.now()
    const room = Math.min(count, MAX_OF_BURST, MAX_RISING - this.#rising.length)
    for (let n = 0; n < room; n += 1) {
      this.#rising.push({
        kind,
        colour: `oklch(0.68 0.22 ${hue * 15})`,
        x: 0.86 + 0.1 * (Math.random() - 0.5),
        sway: 10 + 26 * Math.random(),
        phase: Math.random() * 2 * Math.PI,
        scale: 0.75 + 0.5 * Math.random(),
        // One after the other, as fingers tap.
        from: now + (count > 1 ? Math.random() * 250 : 0),
      })
    }
    if (!this.#frame && this.#rising.length > 0) this.#frame = requestAnimationFrame(this.#draw)
  }

  stop(): void {
    cancelAnimationFrame(this.#frame)
    this.#frame = 0
    this.#rising = []
  }

  readonly #draw = (): void => {
    const now = performance.now()
    const { clientWidth: width, clientHeight: height } = this.#canvas
    const ratio = Math.min(2, devicePixelRatio)
    if (this.#canvas.width !== width * ratio || this.#canvas.height !== height * ratio) {
      this.#canvas.width = width * ratio
      this.#canvas.height = height * ratio
    }
    const context = this.#canvas.getContext('2d')
    this.#rising = this.#rising.filter(({ from }) => now - from < RISE_MS)
    if (context) {
      context.setTransform(ratio, 0, 0, ratio, 0, 0)
      context.clearRect(0, 0, width, height)
      for (const heart of this.#rising) if (now >= heart.from) paint(context, heart, (now - heart.from) / RISE_MS, width, height)
    }
    this.#frame = this.#rising.length > 0 ? requestAnimationFrame(this.#draw) : 0
  }
}

function paint(context: CanvasRenderingContext2D, heart: Rising, part: number, width: number, height: number): void {
  const appear = Math.min(1, part * 8)
  const x = heart.x * width + Math.sin(heart.phase + part * 7) * heart.sway
  const y = height - 54 - part * Math.min(height * 0.86, 460)
  const scale = heart.scale * (0.4 + 0.6 * appear)
  context.save()
  context.globalAlpha = part < 0.55 ? 0.95 : 0.95 * (1 - (part - 0.55) / 0.45)
  context.translate(x, y)
  context.rotate(Math.sin(heart.phase + part * 5) * 0.22)
  context.scale(scale, scale)
  if (heart.kind === '❤') {
    context.fillStyle = heart.colour
    context.strokeStyle = 'rgb(255 255 255 / 85%)'
    context.lineWidth = 2
    const half = SIZE / 2
    context.beginPath()
    context.moveTo(0, half)
    context.bezierCurveTo(-SIZE, -half * 0.2, -half, -half * 1.7, 0, -half * 0.5)
    context.bezierCurveTo(half, -half * 1.7, SIZE, -half * 0.2, 0, half)
    context.fill()
    context.stroke()
  } else {
    context.font = `${SIZE}px sans-serif`
    context.textAlign = 'center'
    context.textBaseline = 'middle'
    context.fillStyle = '#fff'
    context.fillText(heart.kind, 0, 0)
  }
  context.restore()
}
