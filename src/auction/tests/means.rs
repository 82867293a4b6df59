//! What buyers can still pay while a slot's cohorts are decided.

use super::*;
use crate::auction::bid::LossReason;
use crate::auction::means::Means;
use crate::ledger::Lot;

fn bid(id: &str, campaign: u64, nanos: i64) -> Bid {
    Bid {
        id: id.into(),
        campaign: CampaignId(campaign),
        creative: 1,
        format: OverlayFormat::LowerThird,
        is_ready: true,
        categories: BTreeSet::new(),
        accepts_server_counts: true,
        price: Money::from_nanos(nanos),
        deal: None,
        floor: None,
        priority: 1,
    }
}

#[test]
fn who_cannot_pay_for_one_impression_is_in_nobodys_way() {
    let budgets = |campaign| Money::from_nanos(if campaign == CampaignId(1) { 100 } else { 25 });
    let mut means = Means::new(budgets);
    let offer = || Offer {
        bids: vec![bid("dear", 2, 26), bid("cheap", 2, 25), bid("rich", 1, 26), bid("free", 3, 0)],
        ..Offer::default()
    };
    let told = |means: &Means<_>| {
        let offer = means.affordable(offer());
        let refused = offer.refused.iter().map(|of| (of.id.to_string(), of.why)).collect::<Vec<_>>();
        (offer.bids.iter().map(|bid| bid.id.to_string()).collect::<Vec<_>>(), refused)
    };
    let (bids, refused) = told(&means);
    assert_eq!(bids, ["cheap", "rich", "free"]);
    assert_eq!(refused, [("dear".to_owned(), LossReason::Unsold)]);

    // The next cohort finds what the one before has left: three of 26 for an audience of two.
    let lot = Lot {
        campaign: CampaignId(1),
        creative: 1,
        price: Money::from_nanos(26),
        audience: 2,
        cohort: String::new(),
    };
    means.keep_back(&lot);
    assert_eq!(told(&means).0, ["cheap", "free"], "22 are left of the rich one's");
}
