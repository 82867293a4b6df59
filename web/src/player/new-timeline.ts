/** Keeps Chromium from throwing away the picture after a discontinuity. */

/**
 * hls.js lays a new timeline directly behind the old one by changing `timestampOffset`. Where the old sound ended a frame
 * or two earlier than the old picture, the first new sound frame is then farther from the last one than Media Source
 * Extensions allow, and their answer is to drop *all* tracks up to the next keyframe: seconds of still picture. With the
 * parser reset first, nothing is compared with the old timeline.
 */
export function resetOnNewTimeline(buffer: SourceBuffer): void {
  const offset = descriptorOf(buffer, 'timestampOffset')
  if (!offset?.get || !offset.set) return
  const { get, set } = offset
  Object.defineProperty(buffer, 'timestampOffset', {
    configurable: true,
    get: () => get.call(buffer) as number,
    set: (value: number) => {
      try {
        if (!buffer.updating) buffer.abort()
      } catch {
        // Its media source has been closed; setting the offset will say so.
      }
      set.call(buffer, value)
    },
  })
}

function descriptorOf(object: object, name: string): PropertyDescriptor | undefined {
  const own = Object.getOwnPropertyDescriptor(object, name)
  const parent: unknown = Object.getPrototypeOf(object)
  return own ?? (parent ? descriptorOf(parent, name) : undefined)
}
