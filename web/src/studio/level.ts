/** How loud the microphone is, so that one sees that it works. */

/** Quieter than this is silence, dB of full scale. */
const FLOOR_DB = -60
/** How often it is measured, ms. */
const MEASURE_MS = 80

/** Calls back with the loudness of a track, 0 to 1, until the returned function is called. */
export function onLevel(track: MediaStreamTrack, callback: (level: number) => void): () => void {
  const context = new AudioContext()
  const analyser = context.createAnalyser()
  analyser.fftSize = 1024
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser)
  const samples = new Float32Array(analyser.fftSize)
  const timer = setInterval(() => {
    // Contexts made before the first tap are suspended.
    if (context.state === 'suspended') void context.resume()
    analyser.getFloatTimeDomainData(samples)
    callback(levelOf(samples))
  }, MEASURE_MS)
  return () => {
    clearInterval(timer)
    void context.close()
  }
}

/** The loudness of samples on a scale that ears agree with, 0 to 1. */
export function levelOf(samples: Float32Array): number {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, samples.length)
  const decibels = 10 * Math.log10(power || Number.MIN_VALUE)
  return Math.min(1, Math.max(0, 1 - decibels / FLOOR_DB))
}
