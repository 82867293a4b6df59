//! The account of a bidder that buys on credit: a campaign like any other for the ledger, with the credit as its budget.
//!
//! Its number is made of the bidder's name, in a range that no booking reaches, and small enough that JavaScript and SQLite
//! read it exactly. The credit is paid in as the payment of the next number, whenever there is less than that in all: what
//! is left, reserved and spent. So a restart pays nothing twice, and a bidder that has paid its bill is given a higher limit.

use crate::ledger::report::{ReportFilter, Totals, totals};
use crate::ledger::store::LedgerStoreError;
use crate::ledger::{Account, CampaignId, Event, Ledger, LedgerError, Receipt, UnixMillis};
use crate::money::Money;
use crate::random::mix;

/// The first number of a bidder's account.
const FIRST: u64 = 1 << 52;

/// Why an account has not the credit that it should have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FundError {
    /// What was spent cannot be read.
    #[error(transparent)]
    Report(#[from] LedgerStoreError),
    /// The ledger does not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The account of a bidder.
pub fn account(bidder: &str) -> CampaignId {
    let hash = bidder.bytes().fold(0x6372_6564_6974, |state, byte| mix(state ^ u64::from(byte)));
    CampaignId(FIRST | hash & (FIRST - 1))
}

/// Whether a campaign is the account of some bidder.
pub const fn is_bidders(campaign: CampaignId) -> bool {
    campaign.0 & !(FIRST - 1) == FIRST
}

/// Brings an account to its credit, in units of the currency.
///
/// # Errors
/// When that cannot be done; the account is as it was.
pub async fn fund(ledger: &Ledger, campaign: CampaignId, credit: u64) -> Result<(), FundError> {
    let limit = i64::try_from(credit).ok().and_then(|units| units.checked_mul(1_000_000_000));
    let limit = Money::from_nanos(limit.unwrap_or(i64::MAX));
    let last = ledger.last_payment(campaign);
    let left = ledger.balance(&Account::Budget(campaign));
    let mut granted = left.as_nanos().saturating_add(ledger.balance(&Account::Reserved(campaign)).as_nanos());
    if last > 0 {
        let all = ReportFilter { campaign: Some(campaign), to: UnixMillis::MAX, ..ReportFilter::default() };
        let Totals { client, server, .. } = totals(&ledger.report(&all).await?);
        granted = granted.saturating_add(client.spent.as_nanos()).saturating_add(server.spent.as_nanos());
    }
    // A lower limit takes back what is still there, no more.
    let amount = limit.as_nanos().saturating_sub(granted).max(-left.as_nanos());
    if amount == 0 {
        return Ok(());
    }
    let fund = Event::Fund { campaign, number: last + 1, amount: Money::from_nanos(amount) };
    let receipt = ledger.submit(fund).await?;
    if let Receipt::Funded { budget } = receipt {
        tracing::info!(%campaign, %budget, "a bidder's credit");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ledger::{DisplayClass, Lot, Reservation, SessionId, SlotName, SqliteLedger, wall_clock};
    use crate::media::CueId;
    use crate::money::Share;
    use crate::store::{Config, Store};

    #[test]
    fn accounts_have_numbers_that_bookings_and_scripts_do_not_confuse() {
        let numbers: std::collections::BTreeSet<u64> =
            (0..10_000).map(|bidder| account(&format!("dsp-{bidder}")).0).collect();
        assert_eq!(numbers.len(), 10_000);
        assert!(numbers.iter().all(|number| (1 << 52..1 << 53).contains(number)));
        assert!(is_bidders(account("dsp")) && !is_bidders(CampaignId(7)) && !is_bidders(CampaignId(1 << 53)));
    }

    #[tokio::test]
    async fn a_restart_gives_no_credit_twice_and_a_changed_limit_holds() {
        let config = Config { url: "sqlite::memory:".to_owned() };
        let store = Store::open(&config, &std::env::temp_dir()).await.unwrap();
        let log = Arc::new(SqliteLedger::open(store.pool()).await.unwrap());
        let (ledger, _) = Ledger::start(log, wall_clock()).await.unwrap();
        let campaign = account("dsp");
        let units = |units: i64| Money::from_nanos(units * 1_000_000_000);
        let budget = |ledger: &Ledger| ledger.balance(&Account::Budget(campaign));
        for _ in 0..3 {
            fund(&ledger, campaign, 100).await.unwrap();
            assert_eq!((budget(&ledger), ledger.last_payment(campaign)), (units(100), 1));
        }
        let lot = Lot { campaign, creative: 1, price: units(10), audience: 3, cohort: "all".to_owned() };
        let slot = SlotName { channel: "kitchen".parse().unwrap(), broadcast: 1, cue: CueId::new("a") };
        let deadline = i64::MAX;
        let reservation = Reservation { slot, share: Share::percent(55), deadline, lots: vec![lot] };
        let receipt = ledger.submit(Event::Reserve(reservation)).await.unwrap();
        let Receipt::Reserved { slot, units: reserved } = receipt else { panic!("{receipt:?}") };
        assert_eq!(reserved, [4]);
        fund(&ledger, campaign, 100).await.unwrap();
        assert_eq!(budget(&ledger), units(60), "what is reserved is granted");
        for session in 0..2 {
            let session = SessionId(session);
            let display = Event::Display { slot, lot: 0, session, class: DisplayClass::Server };
            ledger.submit(display).await.unwrap();
        }
        ledger.submit(Event::Release { slot }).await.unwrap();
        fund(&ledger, campaign, 100).await.unwrap();
        assert_eq!((budget(&ledger), ledger.last_payment(campaign)), (units(80), 1), "what is spent is owed");
        fund(&ledger, campaign, 150).await.unwrap();
        assert_eq!((budget(&ledger), ledger.last_payment(campaign)), (units(130), 2));
        fund(&ledger, campaign, 10).await.unwrap();
        assert_eq!((budget(&ledger), ledger.last_payment(campaign)), (units(0), 3), "no more than there is");
    }
}
