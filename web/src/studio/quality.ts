/** What is sent: sizes and bit rates that go together. Pure. */

/** One choice in the list. */
export interface Preset {
  readonly name: '360p' | '540p' | '720p' | '1080p'
  readonly width: number
  readonly height: number
  /** The most that the picture takes, bits per second. */
  readonly bitrate: number
  /** When to take it. */
  readonly advice: string
}

/** Frames per second: more costs phones too much, less shows. */
export const FRAME_RATE = 30
/** Opus at this rate is hard to tell from the original, bits per second. */
export const AUDIO_BITRATE = 96_000

/** Bit rates for constrained-baseline H.264 from a real-time encoder, which needs more than a film does. */
export const PRESETS: readonly Preset[] = [
  { name: '360p', width: 640, height: 360, bitrate: 700_000, advice: 'weak mobile network' },
  { name: '540p', width: 960, height: 540, bitrate: 1_400_000, advice: 'mobile network' },
  { name: '720p', width: 1280, height: 720, bitrate: 2_500_000, advice: 'good for most' },
  { name: '1080p', width: 1920, height: 1080, bitrate: 4_500_000, advice: 'fast upload, fast device' },
]

/** Taken where nothing was chosen. */
export const DEFAULT_PRESET: Preset = PRESETS[2] as Preset

export function presetNamed(name: string | null): Preset {
  return PRESETS.find((preset) => preset.name === name) ?? DEFAULT_PRESET
}

/** By how much to shrink what is captured. Upright pictures are measured by their width: phones turn the preset with them. */
export function scaleFor(preset: Preset, width: number | undefined, height: number | undefined): number {
  if (!width || !height) return 1
  return Math.max(1, Math.min(width, height) / preset.height)
}

const KEY = 'onair.quality'

export function loadPreset(): Preset {
  try {
    return presetNamed(localStorage.getItem(KEY))
  } catch {
    return DEFAULT_PRESET
  }
}

export function savePreset(preset: Preset): void {
  try {
    localStorage.setItem(KEY, preset.name)
  } catch {
    // Forgotten at the end of the visit.
  }
}
