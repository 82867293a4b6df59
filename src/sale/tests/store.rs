//! The contract of stores.

use super::*;
use crate::ledger::SlotId;
use crate::sale::record::Sold;
use crate::sale::store::{SaleStore, SqliteSale};
use crate::sale::{ChannelSettings, Outcome};

async fn contract(store: impl SaleStore) {
    let (kitchen, garden) = (kitchen(), "garden".parse().unwrap());
    let of_api = record(1, &kitchen, CueOrigin::Api, 1000);
    let mut of_stream = record(2, &kitchen, CueOrigin::Publisher, 2000);
    let of_studio = record(3, &kitchen, CueOrigin::Studio, 3000);
    let elsewhere = record(4, &garden, CueOrigin::Studio, 4000);
    store.keep(&[of_api.clone(), of_stream.clone(), of_studio.clone(), elsewhere]).await.unwrap();
    assert_eq!(store.cue(CueNumber(2)).await.unwrap(), Some(of_stream.clone()));
    assert_eq!(store.cue(CueNumber(9)).await.unwrap(), None);
    of_stream.end(Outcome::NoPlace { why: "no picture".to_owned() });
    store.keep(std::slice::from_ref(&of_stream)).await.unwrap();
    let page = store.cues(&kitchen, None, 2).await.unwrap();
    assert_eq!(page, [of_studio, of_stream]);
    assert_eq!(store.cues(&kitchen, Some(CueNumber(2)), 2).await.unwrap(), std::slice::from_ref(&of_api));
    let unfinished = store.unfinished().await.unwrap();
    assert_eq!(unfinished.iter().map(|cue| cue.id.0).collect::<Vec<_>>(), [1, 3, 4]);
    let mut sold = of_api.clone();
    sold.sold = Some(Sold { slot: SlotId(5), units: vec![3], traces: vec![0], overlays: Vec::new() });
    sold.end(Outcome::Completed);
    store.keep(std::slice::from_ref(&sold)).await.unwrap();
    let unfinished = store.unfinished().await.unwrap();
    assert_eq!(
        unfinished.iter().map(|cue| cue.id.0).collect::<Vec<_>>(),
        [1, 3, 4],
        "its settlement is to come"
    );
    sold.settle(&[]);
    store.keep(std::slice::from_ref(&sold)).await.unwrap();
    assert_eq!(store.unfinished().await.unwrap().len(), 2);
    assert_eq!(store.opened_since(&kitchen, 1500).await.unwrap(), [2000, 3000], "not those of the operator");
    assert_eq!(store.opened_since(&kitchen, 2001).await.unwrap(), [3000]);
    assert_eq!(store.forget_before(3000).await.unwrap(), 2);
    assert_eq!(store.cue(CueNumber(2)).await.unwrap(), None);

    let settings = ChannelSettings { category: Some("food".into()), ..ChannelSettings::default() };
    store.set(&kitchen, &ChannelSettings::default()).await.unwrap();
    store.set(&kitchen, &settings).await.unwrap();
    assert_eq!(store.settings().await.unwrap(), [(kitchen, settings)]);
}

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    contract(SqliteSale::new(database().await.pool())).await;
}
