/** A colour that stays with a channel: its name decides. */

/** Hues in degrees that look well as dark gradients; yellows and olives do not. */
const HUES = [6, 20, 166, 184, 200, 216, 236, 256, 276, 300, 326, 346]

/** A hue in degrees, the same for the same name (FNV-1a). */
export function hueOf(name: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < name.length; index += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193)
  }
  return HUES[(hash >>> 0) % HUES.length] ?? 0
}
