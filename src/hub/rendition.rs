//! Renditions: the forms of a broadcast that a viewer may ask for.

use crate::media::Codec;

/// The most variants of a programme that there may be.
pub const MAX_VARIANTS: u8 = 4;

/// A form of a broadcast.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rendition {
    /// What the broadcaster sends.
    Source,
    /// What viewers get by default: the source itself, until something is burned in.
    Program {
        /// Which audience variant; 0 is everybody's.
        variant: u8,
    },
    /// Made from another rendition for outputs that cannot carry its codecs.
    Converted {
        /// What it is made from.
        of: Box<Rendition>,
        /// The picture's codec, or unchanged.
        video: Option<Codec>,
        /// The sound's codec, or unchanged.
        audio: Option<Codec>,
    },
}

impl Rendition {
    /// The programme that everybody gets.
    pub const PROGRAM: Self = Self::Program { variant: 0 };

    /// Whether it is the programme, or made from it: what is burned in is seen there.
    pub fn shows_program(&self) -> bool {
        match self {
            Self::Source => false,
            Self::Program { .. } => true,
            Self::Converted { of, .. } => of.shows_program(),
        }
    }

    /// Which variant of the programme it is, or is made from; 0 where it is none.
    pub fn variant(&self) -> u8 {
        match self {
            Self::Source => 0,
            Self::Program { variant } => *variant,
            Self::Converted { of, .. } => of.variant(),
        }
    }

    /// The same of another variant of the programme; the source has none.
    #[must_use]
    pub fn of_variant(&self, variant: u8) -> Self {
        match self {
            Self::Source => Self::Source,
            Self::Program { .. } => Self::Program { variant },
            Self::Converted { of, video, audio } => {
                Self::Converted { of: Box::new(of.of_variant(variant)), video: *video, audio: *audio }
            }
        }
    }

    /// This one with its sound in another codec.
    pub fn with_sound(self, codec: Codec) -> Self {
        Self::Converted { of: Box::new(self), video: None, audio: Some(codec) }
    }

    /// This one with its picture in another codec.
    pub fn with_picture(self, codec: Codec) -> Self {
        Self::Converted { of: Box::new(self), video: Some(codec), audio: None }
    }
}
