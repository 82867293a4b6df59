/** Finding out that something in the browser keeps an overlay from being seen. */

/** Less than this is not to be seen; the page's own animation stays above. */
const LEAST_OPACITY = 0.1
/** Pauses between attempts to fetch an image that does not come, ms. */
const AGAIN_MS = [500, 1500]

/** Whether an element that should be on the screen is not there, through nothing that the page did. */
export function isHidden(element: Element): boolean {
  if (!element.isConnected) return true
  const { width, height } = element.getBoundingClientRect()
  if (width < 1 || height < 1) return true
  for (let above: Element | null = element; above && above !== document.body; above = above.parentElement) {
    const style = getComputedStyle(above)
    if (style.display === 'none' || Number(style.opacity) < LEAST_OPACITY) return true
  }
  return getComputedStyle(element).visibility !== 'visible'
}

/**
 * Why an image did not load: `blocked` if requests for it, and only they, lead nowhere, or if it does arrive but not in an image
 * element; `broken` if the server has none, or none that can be shown.
 */
export async function imageTrouble(url: string): Promise<'blocked' | 'broken'> {
  for (const wait of [0, ...AGAIN_MS]) {
    await new Promise((resolve) => setTimeout(resolve, wait))
    try {
      const response = await fetch(url, { credentials: 'same-origin' })
      if (!response.ok) return 'broken'
      const bitmap = await createImageBitmap(await response.blob()).catch(() => null)
      bitmap?.close()
      return bitmap ? 'blocked' : 'broken'
    } catch {
      // Nothing came back. The network may be at fault.
    }
  }
  return (await isReachable()) ? 'blocked' : 'broken'
}

async function isReachable(): Promise<boolean> {
  try {
    return (await fetch('/api/v1/server', { cache: 'no-store' })).ok
  } catch {
    return false
  }
}
