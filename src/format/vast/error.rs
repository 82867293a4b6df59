//! What is wrong with an advertisement, in the codes that its `Error` beacons are called with.

/// An error of VAST 4.3, §2.3.6.3: the value of `[ERRORCODE]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum VastError {
    /// 100: the document is not well-formed XML, or beyond our bounds.
    #[error("the document is no XML that can be read")]
    Xml,
    /// 101: an element is not where the schema has it, or is missing.
    #[error("the document does not follow the schema")]
    Schema,
    /// 102: a version that is not read.
    #[error("the version is not supported")]
    Version,
    /// 201: linear, where an overlay was asked for.
    #[error("the advertisement is linear, an overlay was expected")]
    Linearity,
    /// 202: too short or too long.
    #[error("the duration is not the slot's")]
    Duration,
    /// 205: a category that is blocked.
    #[error("the category is blocked")]
    Category,
    /// 300: the wrapper leads nowhere.
    #[error("the wrapper leads nowhere")]
    Wrapper,
    /// 301: the wrapped document did not come in time.
    #[error("the wrapped document did not come")]
    WrapperTimeout,
    /// 302: too many wrappers.
    #[error("too many wrappers")]
    WrapperLimit,
    /// 303: no advertisement at the end of the wrappers.
    #[error("there is no advertisement")]
    NoAd,
    /// 500: the overlay cannot be shown for a reason without a code of its own.
    #[error("the overlay cannot be shown")]
    NonLinear,
    /// 501: larger than the screen.
    #[error("the overlay does not fit")]
    NonLinearSize,
    /// 502: the resource cannot be had.
    #[error("the overlay's resource cannot be fetched")]
    NonLinearFetch,
    /// 503: no resource of a kind that is shown.
    #[error("the overlay has no resource of a supported kind")]
    NonLinearType,
    /// 900: anything else.
    #[error("undefined")]
    Undefined,
}

impl VastError {
    /// The number.
    pub const fn code(self) -> u16 {
        match self {
            Self::Xml => 100,
            Self::Schema => 101,
            Self::Version => 102,
            Self::Linearity => 201,
            Self::Duration => 202,
            Self::Category => 205,
            Self::Wrapper => 300,
            Self::WrapperTimeout => 301,
            Self::WrapperLimit => 302,
            Self::NoAd => 303,
            Self::NonLinear => 500,
            Self::NonLinearSize => 501,
            Self::NonLinearFetch => 502,
            Self::NonLinearType => 503,
            Self::Undefined => 900,
        }
    }
}
