//! Who is at the door: cookies, vouchers, invitations, and whose pages may ask.

use std::net::IpAddr;

use aws_lc_rs::rand;
use http::HeaderMap;
use http::header::ORIGIN;

use super::Shared;
use super::event::Refusal;
use super::message::Join;
use super::person::{Prefix, Role, UserId, Visitor};
use super::room::{Arrival, Refused};
use crate::auth::{ViewerId, Viewers};
use crate::clock;
use crate::http::{ClientAddress, RequestHost};
use crate::media::ChannelName;

/// Where a browser says how a request's page and server are related (Fetch Metadata Request Headers §2.3).
const SEC_FETCH_SITE: &str = "sec-fetch-site";
/// How long an invitation holds.
const INVITATION_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Somebody before they say who they are.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Known by a cookie, or new.
    pub viewer: ViewerId,
    /// The viewer has no cookie yet.
    pub is_new: bool,
    /// Signed in to the channel's studio.
    is_broadcaster: bool,
    prefix: Prefix,
}

/// A page that may not ask here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stranger {
    /// Its origin is none of ours.
    #[error("pages of this origin may not connect; the operator can allow it with chat.origins")]
    Origin,
    /// A cookie from who knows where: no browser of today does that.
    #[error("a request with our cookies needs an Origin")]
    NoOrigin,
    /// The system gives no random numbers.
    #[error("the server failed; its log says why")]
    Failed,
}

impl Shared {
    /// Who is asking, as far as the request tells.
    ///
    /// Cookies count only for our own pages; other origins that are allowed come without, and vouch by a token.
    ///
    /// # Errors
    /// When a page asks that may not.
    pub fn caller(
        &self,
        channel: Option<&ChannelName>,
        headers: &HeaderMap,
        host: Option<&RequestHost>,
        address: ClientAddress,
    ) -> Result<Caller, Stranger> {
        let cookies_count = self.is_own_page(headers, host)?;
        let known = cookies_count.then(|| self.viewers.of(headers)).flatten();
        let viewer = match known {
            Some(viewer) => viewer,
            None => self.viewers.new_viewer().map_err(|error| {
                tracing::error!(%error, "no viewer can be made");
                Stranger::Failed
            })?,
        };
        Ok(Caller {
            viewer,
            is_new: cookies_count && known.is_none(),
            is_broadcaster: cookies_count
                && channel.is_some_and(|name| self.studio.is_signed_in(name, headers)),
            prefix: prefix(address.0),
        })
    }

    /// Who somebody is, by what they say.
    ///
    /// # Errors
    /// When a voucher or an invitation does not hold.
    pub async fn arrival(
        &self,
        channel: &ChannelName,
        caller: &Caller,
        join: &Join,
    ) -> Result<Arrival, Refused> {
        let refused = |message: String| Refused::new(Refusal::BadToken, message);
        let mut visitor = Visitor {
            user: UserId(self.viewers.public(caller.viewer)),
            role: if caller.is_broadcaster { Role::Broadcaster } else { Role::Guest },
            name: None,
            prefix: caller.prefix,
            expires: None,
        };
        if let Some(token) = join.token.as_deref().filter(|_| !caller.is_broadcaster) {
            let voucher =
                self.keys.check(token, channel).await.map_err(|error| refused(error.to_string()))?;
            visitor.user = UserId(self.viewers.public_of_subject(&voucher.issuer, &voucher.subject));
            visitor.role = Role::Member;
            visitor.name = voucher.name;
            visitor.expires = Some(voucher.expires);
        }
        let invitation = match &join.invite {
            None => None,
            Some(token) => {
                let number = self.read_invitation(channel, token);
                Some(number.ok_or_else(|| refused("the invitation does not hold any more".to_owned()))?)
            }
        };
        Ok(Arrival { visitor, invitation })
    }

    /// A new invitation for a moderator.
    pub fn invitation(&self, channel: &ChannelName) -> Option<String> {
        let mut number = [0; 8];
        rand::fill(&mut number).ok()?;
        let number = u64::from_be_bytes(number);
        let expires = clock::unix_now() + INVITATION_MILLIS;
        Some(self.viewers.seal(&format!("{channel}.{expires}.{number:016x}")))
    }

    fn read_invitation(&self, channel: &ChannelName, token: &str) -> Option<u64> {
        let mut parts = self.viewers.unseal(token)?.split('.');
        let (name, expires, number) = (parts.next()?, parts.next()?, parts.next()?);
        let expires: i64 = expires.parse().ok()?;
        let holds = name == channel.as_str() && clock::unix_now() < expires;
        holds.then(|| u64::from_str_radix(number, 16).ok()).flatten()
    }

    /// Whether the request's cookies count.
    fn is_own_page(&self, headers: &HeaderMap, host: Option<&RequestHost>) -> Result<bool, Stranger> {
        let Some(origin) = headers.get(ORIGIN) else {
            // Browsers leave it out where a page asks its own server, and say so; no page can write this header.
            let is_same = headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "same-origin");
            return match Viewers::shown(headers) {
                true if !is_same => Err(Stranger::NoOrigin),
                _ => Ok(is_same),
            };
        };
        let origin = origin.to_str().map_err(|_| Stranger::Origin)?;
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        let is_host = authority
            .is_some_and(|authority| host.is_some_and(|host| host.as_str().eq_ignore_ascii_case(authority)));
        if is_host || self.public_base.as_deref().is_some_and(|base| base.eq_ignore_ascii_case(origin)) {
            return Ok(true);
        }
        let is_listed = self.config.origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin));
        if is_listed { Ok(false) } else { Err(Stranger::Origin) }
    }
}

fn prefix(address: IpAddr) -> Prefix {
    match address.to_canonical() {
        IpAddr::V4(address) => Prefix::v4(address.octets()),
        IpAddr::V6(address) => Prefix::v6(address.octets()),
    }
}
