/** Gets the image of an overlay into its element. */

import { decodes, imageTrouble, type ImageTrouble } from './blocked.ts'

/** Pauses before an image that a passing trouble kept away is loaded again, ms: a server may be restarting. */
const RELOAD_MS = [500, 2000, 6000]

/**
 * Waits until an element can paint the image that it was given, and has it load again after passing troubles.
 *
 * @param isWanted whether the element is still to show it; once it is not, it is left alone.
 * @returns null when it can be painted at once, else why it cannot.
 */
export async function loadImage(
  element: HTMLImageElement,
  url: string,
  isWanted: () => boolean,
): Promise<Exclude<ImageTrouble, 'passing'> | null> {
  for (const wait of RELOAD_MS) {
    if (await decodes(element)) return null
    const trouble = await imageTrouble(url)
    if (trouble !== 'passing') return trouble
    await new Promise((resolve) => setTimeout(resolve, wait))
    if (!isWanted()) return null
    element.src = url
  }
  return (await decodes(element)) ? null : 'broken'
}
