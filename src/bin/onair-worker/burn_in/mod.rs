//! Burning in: decodes from the newest keyframe, once for all outputs; each of them draws and encodes the pictures that it owes.
//!
//! | | |
//! |---|---|
//! | `source` | what comes in: its decoder, and what is known of it |
//! | `output` | what goes out: its overlays, its cut, its encoder, its end |

mod output;
mod source;

use std::collections::BTreeSet;

use onair::av::worker::ipc::{BurnIn, FromWorker, MAX_OUTPUTS, OutputId, ToWorker};
use onair::media::{Frame, Kind, MediaTime, Track};

use self::output::{Cut, Output};
use self::source::Source;
use crate::error::JobError;
use crate::link::Link;
use crate::picture::Picture;

/// Draws until the server says stop, or closes the pipe.
pub fn run(link: &mut Link, job: BurnIn) -> Result<(), JobError> {
    let mut work = Work::new(job);
    while let Some(message) = link.next()? {
        match message {
            ToWorker::Track(track) => work.track(track)?,
            ToWorker::Frame(frame) => work.frame(&frame)?,
            ToWorker::Open { output } => work.open(output)?,
            ToWorker::Overlay { output, overlay } => {
                if let Some(output) = work.output(output)? {
                    output.overlay(overlay)?;
                }
            }
            ToWorker::Cancel { output, id, at } => {
                if let Some(output) = work.output(output)? {
                    output.cancel(id, at);
                }
            }
            ToWorker::Cut { output, dts, pts } => work.cut(output, Cut::new(dts, pts))?,
            ToWorker::StopOutput { output, before } => work.stop_output(output, before)?,
            ToWorker::CloseOutput { output } => work.close(output)?,
            ToWorker::Stop { before } => {
                work.stop(before)?;
                return work.say(link);
            }
            _ => return Err(JobError::Unexpected("a message that has no place in a burn-in")),
        }
        work.say(link)?;
    }
    Ok(())
}

struct Work {
    source: Source,
    /// Those that are open.
    outputs: Vec<Output>,
    /// All that ever were: what is said of one that is not open any more has crossed its end. Four bytes each.
    opened: BTreeSet<OutputId>,
    /// The newest picture that has come out of the decoder.
    newest: Option<MediaTime>,
    decoded: Vec<Picture>,
    out: Vec<FromWorker>,
}

impl Work {
    fn new(job: BurnIn) -> Self {
        Self {
            source: Source::new(job.encoding),
            outputs: Vec::new(),
            opened: BTreeSet::new(),
            newest: None,
            decoded: Vec::new(),
            out: Vec::new(),
        }
    }

    fn say(&mut self, link: &mut Link) -> Result<(), JobError> {
        self.out.drain(..).try_for_each(|message| link.say(&message))
    }

    /// The source's track begins, or changes: what was before it is finished first.
    fn track(&mut self, track: Track) -> Result<(), JobError> {
        if track.kind() != Kind::Video {
            return Err(JobError::Unexpected("sound in a burn-in"));
        }
        self.source.change(track, &mut self.decoded)?;
        self.take_decoded()
    }

    fn frame(&mut self, frame: &Frame) -> Result<(), JobError> {
        self.source.decode(frame, &mut self.decoded)?;
        self.take_decoded()?;
        if frame.keyframe {
            self.outputs.iter_mut().for_each(|output| output.follow(&self.source));
        }
        self.out.push(FromWorker::Progress { dts: frame.dts });
        Ok(())
    }

    fn open(&mut self, id: OutputId) -> Result<(), JobError> {
        if self.outputs.len() >= MAX_OUTPUTS {
            return Err(JobError::Refused(format!("more than {MAX_OUTPUTS} outputs at a time")));
        }
        if !self.opened.insert(id) {
            return Err(JobError::Unexpected("an output that there was before"));
        }
        self.outputs.push(Output::new(id, self.newest));
        Ok(())
    }

    /// An open output; `None` when it is not open any more.
    fn output(&mut self, id: OutputId) -> Result<Option<&mut Output>, JobError> {
        if !self.opened.contains(&id) {
            return Err(JobError::Unexpected("an order for an output that was never opened"));
        }
        Ok(self.outputs.iter_mut().find(|output| output.id() == id))
    }

    fn cut(&mut self, id: OutputId, cut: Cut) -> Result<(), JobError> {
        self.output(id)?;
        let Self { source, outputs, out, .. } = self;
        match outputs.iter_mut().find(|output| output.id() == id) {
            Some(output) => output.cut(cut, source, out),
            None => Ok(()),
        }
    }

    fn stop_output(&mut self, id: OutputId, before: MediaTime) -> Result<(), JobError> {
        if let Some(output) = self.output(id)? {
            output.stop(before);
        }
        self.finish_outputs()
    }

    fn close(&mut self, id: OutputId) -> Result<(), JobError> {
        self.output(id)?;
        self.outputs.retain(|output| output.id() != id);
        Ok(())
    }

    /// Every output gets every picture. None is copied for that.
    fn take_decoded(&mut self) -> Result<(), JobError> {
        for picture in std::mem::take(&mut self.decoded) {
            self.newest = self.newest.max(Some(picture.pts));
            let Self { source, outputs, out, .. } = self;
            outputs.iter_mut().try_for_each(|output| output.take(&picture, source, out))?;
            self.finish_outputs()?;
        }
        Ok(())
    }

    /// Lets those outputs end that have come to their end.
    fn finish_outputs(&mut self) -> Result<(), JobError> {
        let Self { source, outputs, newest, out, .. } = self;
        let mut done = outputs.extract_if(.., |output| output.is_done(*newest));
        done.try_for_each(|output| output.finish(source, out))
    }

    fn stop(&mut self, before: MediaTime) -> Result<(), JobError> {
        self.outputs.iter_mut().for_each(|output| output.stop(before));
        self.source.drain(&mut self.decoded)?;
        self.take_decoded()?;
        let Self { source, outputs, out, .. } = self;
        outputs.drain(..).try_for_each(|output| output.finish(source, out))
    }
}
