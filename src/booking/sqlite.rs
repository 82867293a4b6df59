//! Bookings in SQLite.

use std::sync::Arc;

use bytes::Bytes;
use sqlx::Row as _;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::advertiser::{Advertiser, AdvertiserId};
use super::campaign::Booking;
use super::creative::{Creative, CreativeId};
use super::store::{BookingStore, BookingStoreError, LastNumbers, Outcome, Stored};
use crate::auction::Campaign;
use crate::auth::Digest;
use crate::ledger::CampaignId;

/// Bookings in SQLite.
#[derive(Clone, Debug)]
pub struct SqliteBookings(SqlitePool);

impl SqliteBookings {
    /// In an open database.
    pub fn new(pool: &SqlitePool) -> Self {
        Self(pool.clone())
    }

    /// The highest number that a table has ever given.
    async fn last(&self, table: &str) -> Result<u64, BookingStoreError> {
        let query = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = ?").bind(table);
        let last: Option<i64> = query.fetch_optional(&self.0).await?;
        Ok(last.map_or(0, unsigned))
    }
}

impl BookingStore for SqliteBookings {
    fn all(&self) -> Outcome<'_, Stored> {
        Box::pin(async {
            let advertisers = sqlx::query(
                "SELECT id, name, domains, key_digest, created_at FROM booking_advertiser ORDER BY id",
            );
            let campaigns = sqlx::query(
                "SELECT id, advertiser, name, terms, created_at FROM booking_campaign ORDER BY id",
            );
            let creatives = sqlx::query("SELECT body, file FROM booking_creative ORDER BY id");
            let rows = |rows: Vec<SqliteRow>| rows.into_iter();
            Ok(Stored {
                advertisers: rows(advertisers.fetch_all(&self.0).await?)
                    .map(|row| advertiser(&row))
                    .collect::<Result<_, _>>()?,
                campaigns: rows(campaigns.fetch_all(&self.0).await?)
                    .map(|row| booking(&row))
                    .collect::<Result<_, _>>()?,
                creatives: rows(creatives.fetch_all(&self.0).await?)
                    .map(|row| creative(&row))
                    .collect::<Result<_, _>>()?,
                last: LastNumbers {
                    advertiser: self.last("booking_advertiser").await?,
                    campaign: self.last("booking_campaign").await?,
                    creative: self.last("booking_creative").await?,
                },
            })
        })
    }

    fn insert_advertiser<'a>(&'a self, advertiser: &'a Advertiser, key: Digest) -> Outcome<'a, ()> {
        Box::pin(async move {
            sqlx::query(
                "INSERT INTO booking_advertiser (id, name, domains, key_digest, created_at) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(signed(advertiser.id.0))
            .bind(&advertiser.name)
            .bind(serde_json::to_string(&advertiser.domains)?)
            .bind(key.as_bytes())
            .bind(advertiser.created_at)
            .execute(&self.0)
            .await?;
            Ok(())
        })
    }

    fn update_advertiser<'a>(&'a self, advertiser: &'a Advertiser) -> Outcome<'a, ()> {
        Box::pin(async move {
            let query = sqlx::query("UPDATE booking_advertiser SET name = ?, domains = ? WHERE id = ?")
                .bind(&advertiser.name)
                .bind(serde_json::to_string(&advertiser.domains)?)
                .bind(signed(advertiser.id.0));
            one_row(query.execute(&self.0).await?.rows_affected())
        })
    }

    fn set_key(&self, advertiser: AdvertiserId, key: Digest) -> Outcome<'_, ()> {
        Box::pin(async move {
            let query = sqlx::query("UPDATE booking_advertiser SET key_digest = ? WHERE id = ?")
                .bind(key.as_bytes())
                .bind(signed(advertiser.0));
            one_row(query.execute(&self.0).await?.rows_affected())
        })
    }

    fn delete_advertiser(&self, advertiser: AdvertiserId) -> Outcome<'_, ()> {
        Box::pin(async move {
            let query = sqlx::query("DELETE FROM booking_advertiser WHERE id = ?").bind(signed(advertiser.0));
            one_row(query.execute(&self.0).await?.rows_affected())
        })
    }

    fn insert_campaign<'a>(&'a self, booking: &'a Booking) -> Outcome<'a, ()> {
        Box::pin(async move {
            sqlx::query(
                "INSERT INTO booking_campaign (id, advertiser, name, terms, created_at) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(signed(booking.id().0))
            .bind(signed(booking.advertiser.0))
            .bind(&booking.name)
            .bind(terms(booking)?)
            .bind(booking.created_at)
            .execute(&self.0)
            .await?;
            Ok(())
        })
    }

    fn update_campaign<'a>(&'a self, booking: &'a Booking) -> Outcome<'a, ()> {
        Box::pin(async move {
            let query = sqlx::query("UPDATE booking_campaign SET name = ?, terms = ? WHERE id = ?")
                .bind(&booking.name)
                .bind(terms(booking)?)
                .bind(signed(booking.id().0));
            one_row(query.execute(&self.0).await?.rows_affected())
        })
    }

    fn delete_campaign(&self, campaign: CampaignId) -> Outcome<'_, ()> {
        Box::pin(async move {
            let query = sqlx::query("DELETE FROM booking_campaign WHERE id = ?").bind(signed(campaign.0));
            one_row(query.execute(&self.0).await?.rows_affected())
        })
    }

    fn insert_creative<'a>(&'a self, creative: &'a Creative, file: &'a [u8]) -> Outcome<'a, ()> {
        Box::pin(async move {
            sqlx::query(
                "INSERT INTO booking_creative (id, campaign, body, file, created_at) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(signed(creative.id))
            .bind(signed(creative.campaign.0))
            .bind(serde_json::to_string(creative)?)
            .bind(file)
            .bind(creative.created_at)
            .execute(&self.0)
            .await?;
            Ok(())
        })
    }

    fn update_creative<'a>(&'a self, creative: &'a Creative) -> Outcome<'a, ()> {
        Box::pin(async move {
            let query = sqlx::query("UPDATE booking_creative SET body = ? WHERE id = ?")
                .bind(serde_json::to_string(creative)?)
                .bind(signed(creative.id));
            one_row(query.execute(&self.0).await?.rows_affected())
        })
    }

    fn delete_creative(&self, creative: CreativeId) -> Outcome<'_, ()> {
        Box::pin(async move {
            let query = sqlx::query("DELETE FROM booking_creative WHERE id = ?").bind(signed(creative));
            one_row(query.execute(&self.0).await?.rows_affected())
        })
    }
}

/// SQLite's integers are signed; the bits stay.
const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

const fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

fn one_row(affected: u64) -> Result<(), BookingStoreError> {
    if affected == 0 { Err(BookingStoreError::Missing) } else { Ok(()) }
}

/// The campaign without its creatives, which have rows of their own.
fn terms(booking: &Booking) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Campaign { creatives: Vec::new(), ..(*booking.campaign).clone() })
}

fn advertiser(row: &SqliteRow) -> Result<(Advertiser, Digest), BookingStoreError> {
    let id = AdvertiserId(unsigned(row.try_get("id")?));
    let domains: String = row.try_get("domains")?;
    let advertiser = Advertiser {
        id,
        name: row.try_get("name")?,
        domains: serde_json::from_str(&domains)?,
        created_at: row.try_get("created_at")?,
    };
    let key = Digest::from_bytes(row.try_get("key_digest")?).ok_or(BookingStoreError::Key(id))?;
    Ok((advertiser, key))
}

fn booking(row: &SqliteRow) -> Result<Booking, BookingStoreError> {
    let terms: String = row.try_get("terms")?;
    Ok(Booking {
        advertiser: AdvertiserId(unsigned(row.try_get("advertiser")?)),
        name: row.try_get("name")?,
        created_at: row.try_get("created_at")?,
        campaign: Arc::new(serde_json::from_str(&terms)?),
    })
}

fn creative(row: &SqliteRow) -> Result<(Creative, Bytes), BookingStoreError> {
    let (body, file): (String, Vec<u8>) = (row.try_get("body")?, row.try_get("file")?);
    Ok((serde_json::from_str(&body)?, file.into()))
}
