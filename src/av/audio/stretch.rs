//! Sound made a sample longer or shorter, by interpolation.

use std::f32::consts::PI;

/// Samples that the interpolation reads on either side of the place it computes.
pub const REACH: usize = 8;

/// Appends `frames` frames that are made of the `frames + more` frames of `sound` from frame [`REACH`] on: positions go
/// up by a constant step, so that what follows goes on where this ends. `sound` is interleaved, with [`REACH`] frames
/// before and after those that are used up.
pub fn stretch(sound: &[f32], channels: usize, frames: usize, more: i64, out: &mut Vec<f32>) {
    let step = (frames as f64 + more as f64) / frames as f64;
    for frame in 0..frames {
        let position = frame as f64 * step;
        let weights = weights((position - position.floor()) as f32);
        // Tap 0 stands REACH - 1 frames before the position's own; `sound` begins REACH frames before the first.
        let first = position as usize + 1;
        for channel in 0..channels {
            let taps = sound.iter().skip(first * channels + channel).step_by(channels);
            out.push(taps.zip(weights).map(|(sample, weight)| sample * weight).sum());
        }
    }
}

/// A sinc under a Hann window for the place `fraction` after tap `REACH - 1`, with a sum of one.
fn weights(fraction: f32) -> [f32; 2 * REACH] {
    let mut weights = [0.0; 2 * REACH];
    for (tap, weight) in weights.iter_mut().enumerate() {
        let distance = tap as f32 - (REACH - 1) as f32 - fraction;
        let sinc = if distance.abs() < 1e-6 { 1.0 } else { (PI * distance).sin() / (PI * distance) };
        *weight = sinc * (PI * distance / (2 * REACH) as f32).cos().powi(2);
    }
    let sum: f32 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretched_tone_is_the_same_tone() {
        const FRAMES: usize = 960;
        for (hertz, tolerance) in [(440.0, 1e-3), (5_000.0, 1e-3), (15_000.0, 2e-2)] {
            for more in [-1, 1] {
                let tone = |position: f64| (position * hertz * std::f64::consts::TAU / 48_000.0).sin() as f32;
                let length = FRAMES + 2 * REACH + 1;
                let sound: Vec<f32> = (0..length)
                    .flat_map(|n| {
                        let position = n as f64 - REACH as f64;
                        [tone(position), tone(position + 100.0)]
                    })
                    .collect();
                let mut out = Vec::new();
                stretch(&sound, 2, FRAMES, more, &mut out);
                assert_eq!(out.len(), 2 * FRAMES);
                for (frame, pair) in out.chunks(2).enumerate() {
                    let position = frame as f64 * (FRAMES as f64 + more as f64) / FRAMES as f64;
                    let expected = [tone(position), tone(position + 100.0)];
                    for (got, wanted) in pair.iter().zip(expected) {
                        assert!(
                            (got - wanted).abs() < tolerance,
                            "{hertz} Hz, frame {frame}: {got} {wanted}"
                        );
                    }
                }
            }
        }
    }
}
