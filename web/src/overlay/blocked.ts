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

/** Why an image is not in its element. */
export type ImageTrouble =
  /** Requests for it, and only they, lead nowhere; or it does arrive, but not in an image element. */
  | 'blocked'
  /** The server has none, or none that can be shown. */
  | 'broken'
  /** The network or the server was away for a moment: it can be loaded again. */
  | 'passing'

/** Why an image did not load. */
export async function imageTrouble(url: string): Promise<ImageTrouble> {
  for (const wait of [0, ...AGAIN_MS]) {
    await new Promise((resolve) => setTimeout(resolve, wait))
    const trouble = await lookFor(url)
    if (trouble) return trouble
  }
  if (!(await isReachable())) return 'passing'
  // What failed until now may have failed on a network that has just come back.
  return (await lookFor(url)) ?? 'blocked'
}

/** What keeps an image away; null if no answer comes, for which the network may be at fault. */
async function lookFor(url: string): Promise<ImageTrouble | null> {
  try {
    const response = await fetch(url, { credentials: 'same-origin' })
    if (response.status >= 500) return null
    if (!response.ok) return 'broken'
    const image = await response.blob()
    // It comes now. Only what is kept out of every image element is kept out of this page's.
    const fresh = new Image()
    fresh.src = url
    if (await decodes(fresh)) return 'passing'
    return (await isImage(image)) ? 'blocked' : 'broken'
  } catch {
    return null
  }
}

/** Whether an element can paint what it was given to show. */
export function decodes(element: HTMLImageElement): Promise<boolean> {
  return element.decode().then(
    () => true,
    () => false,
  )
}

/** Whether this is a picture that the browser knows. Chromium makes no bitmap of a drawing, which all browsers can show. */
async function isImage(blob: Blob): Promise<boolean> {
  if (blob.type.startsWith('image/svg+xml')) return true
  const bitmap = await createImageBitmap(blob).catch(() => null)
  bitmap?.close()
  return bitmap !== null
}

async function isReachable(): Promise<boolean> {
  try {
    return (await fetch('/api/v1/server', { cache: 'no-store' })).ok
  } catch {
    return false
  }
}
