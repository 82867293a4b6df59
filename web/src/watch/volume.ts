/** The viewer's volume, kept from one visit to the next. Storage may be forbidden; then it starts full. */

const KEY = 'onair.volume'

export function loadVolume(): number {
  try {
    const stored = Number.parseFloat(localStorage.getItem(KEY) ?? '')
    return stored >= 0 && stored <= 1 ? stored : 1
  } catch {
    return 1
  }
}

export function saveVolume(volume: number): void {
  try {
    localStorage.setItem(KEY, volume.toFixed(2))
  } catch {
    // Forgotten at the end of the visit.
  }
}
