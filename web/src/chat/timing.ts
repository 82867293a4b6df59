/** When a comment is shown: not before its picture. */

/** Comments come with the network's and the room's own delay: so much ahead of the picture is in step, ms. */
const IN_STEP_MS = 400
/** Whoever is farther behind than this would wait for a room that has moved on, ms. */
const LONGEST_MS = 20_000

const held = new WeakMap<object, number>()

/**
 * Whether a comment still waits for its picture.
 *
 * @param mediaTime of the picture on the screen, ms; null while unknown, and then nothing waits.
 * @param now a clock in ms, by which nothing waits for ever.
 */
export function holdUntilSeen(comment: { timeNs: number | null }, mediaTime: number | null, now: number): boolean {
  if (comment.timeNs === null || mediaTime === null) return false
  const since = held.get(comment) ?? now
  held.set(comment, since)
  return comment.timeNs / 1e6 - mediaTime > IN_STEP_MS && now - since < LONGEST_MS
}
