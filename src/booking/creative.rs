//! What is shown: an image file and what is known of it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::auction::campaign::{self, Approval};
use crate::ledger::{CampaignId, UnixMillis};
use crate::media::OverlayFormat;

/// Names a creative; a number is never given twice.
pub type CreativeId = u64;

/// A creative. Its file is kept apart.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Creative {
    /// Its number.
    pub id: CreativeId,
    /// Of which campaign.
    pub campaign: CampaignId,
    /// What it is made for.
    pub format: OverlayFormat,
    /// What kind of file it is.
    pub media_type: MediaType,
    /// The file's length.
    pub bytes: usize,
    /// What is in the file.
    pub hash: ContentHash,
    /// What a worker saw in it.
    pub look: Look,
    /// Where a click leads.
    pub click_url: Option<String>,
    /// What it is about.
    pub categories: BTreeSet<Arc<str>>,
    /// Whether the operator has allowed it.
    pub approval: Approval,
    /// Why not, if it is rejected.
    pub reason: Option<String>,
    /// When it was uploaded.
    pub created_at: UnixMillis,
    /// Whether its file is at hand, and is the one that was looked at.
    #[serde(skip)]
    pub is_ready: bool,
}

impl Creative {
    /// As auctions see it.
    pub fn for_auctions(&self) -> campaign::Creative {
        campaign::Creative {
            id: self.id,
            format: self.format,
            approval: self.approval,
            is_ready: self.is_ready,
            categories: self.categories.clone(),
        }
    }

    /// The file as it is handed out.
    pub(super) fn file(&self, bytes: Bytes) -> CreativeFile {
        CreativeFile {
            id: self.id,
            campaign: self.campaign,
            format: self.format,
            media_type: self.media_type,
            hash: self.hash,
            bytes,
            click_url: self.click_url.clone(),
        }
    }
}

/// What a worker saw in a file, drawn for a picture of 1920 × 1080.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Look {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// More than one if it is animated.
    pub frames: usize,
    /// How long the animation takes; 0 if there is none.
    pub duration_ms: u64,
}

/// A creative's file, to be shown. The bytes are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreativeFile {
    /// The creative's number.
    pub id: CreativeId,
    /// Of which campaign.
    pub campaign: CampaignId,
    /// What it is made for.
    pub format: OverlayFormat,
    /// What kind of file it is.
    pub media_type: MediaType,
    /// What is in it.
    pub hash: ContentHash,
    /// The file.
    pub bytes: Bytes,
    /// Where a click leads.
    pub click_url: Option<String>,
}

/// The kinds of image files that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaType {
    /// PNG, and animated PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF.
    Gif,
    /// WebP.
    Webp,
    /// SVG.
    Svg,
}

impl MediaType {
    /// Of a file that a worker has decoded, by its first bytes: what has no signature of its own is SVG.
    pub fn of(file: &[u8]) -> Self {
        match file {
            [0x89, b'P', b'N', b'G', ..] => Self::Png,
            [0xff, 0xd8, 0xff, ..] => Self::Jpeg,
            [b'G', b'I', b'F', b'8', ..] => Self::Gif,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::Webp,
            _ => Self::Svg,
        }
    }

    /// As HTTP names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Svg => "image/svg+xml",
        }
    }
}

/// The SHA-256 of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub struct ContentHash([u8; digest::SHA256_OUTPUT_LEN]);

impl ContentHash {
    /// Of a file.
    pub fn of(file: &[u8]) -> Self {
        let mut hash = [0; digest::SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest::digest(&digest::SHA256, file).as_ref());
        Self(hash)
    }
}

impl fmt::Display for ContentHash {
    /// In hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        for (file, expected) in [
            (&b"\x89PNG\r\n\x1a\n"[..], "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"GIF89a", "image/gif"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
            (b"<svg xmlns=", "image/svg+xml"),
            (b"RIFF\x10\0\0\0WAVE", "image/svg+xml"),
            (b"", "image/svg+xml"),
        ] {
            assert_eq!(MediaType::of(file).as_str(), expected, "{file:?}");
        }
    }

    #[test]
    fn a_hash_is_written_as_everybody_writes_it() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(ContentHash::of(b"").to_string(), empty);
    }
}
