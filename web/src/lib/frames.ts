/** Telling frames that are really on screen. */

/** Calls back for each frame that is presented, until the returned function is called. */
export function onEachFrame(
  video: HTMLVideoElement,
  callback: (now: number, frame: VideoFrameCallbackMetadata | null) => void,
): () => void {
  // Without requestVideoFrameCallback (Firefox before 132) the progress of the clock stands in for frames.
  if (typeof video.requestVideoFrameCallback !== 'function') {
    const listener = () => callback(performance.now(), null)
    video.addEventListener('timeupdate', listener)
    return () => video.removeEventListener('timeupdate', listener)
  }
  let handle = 0
  const step: VideoFrameRequestCallback = (now, frame) => {
    handle = video.requestVideoFrameCallback(step)
    callback(now, frame)
  }
  handle = video.requestVideoFrameCallback(step)
  return () => video.cancelVideoFrameCallback(handle)
}

/** Copies the frame now shown to a canvas; false if there is none. */
export function copyFrame(video: HTMLVideoElement, canvas: HTMLCanvasElement): boolean {
  if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA || video.videoWidth === 0) return false
  canvas.width = video.videoWidth
  canvas.height = video.videoHeight
  canvas.getContext('2d')?.drawImage(video, 0, 0)
  return true
}
