//! Campaigns over HTTP: book, list, show, change, delete, and pay.

mod day_parts;
mod form;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::LOCATION;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::advertisers::{Number, fresh};
use super::caller::{Booker, Operator};
use super::channels::ErrorBody;
use super::creatives::CreativeView;
use crate::auction::Campaign;
use crate::booking::{AdvertiserId, Booking, BookingError, Thing};
use crate::clock;
use crate::http::{ApiError, Json};
use crate::ledger::{Account, CampaignId, LedgerError, Refusal};
use crate::money::Money;
use form::CampaignForm;

/// Campaigns of an advertiser.
#[derive(Serialize, ToSchema)]
pub(super) struct CampaignList {
    /// By number.
    campaigns: Vec<CampaignView>,
}

/// A campaign, with its money and its creatives.
#[derive(Serialize, ToSchema)]
pub(super) struct CampaignView {
    /// Its number.
    id: u64,
    /// The advertiser's.
    advertiser: u64,
    /// RFC 3339.
    created_at: String,
    #[serde(flatten)]
    terms: CampaignForm,
    /// What may still be reserved, in units of the currency.
    #[schema(example = "120.000000000")]
    budget: String,
    /// What is kept back for slots that run, in units of the currency.
    #[schema(example = "3.500000000")]
    reserved: String,
    /// The number of the last payment; the next one has the next number.
    payments: u64,
    creatives: Vec<CreativeView>,
}

/// A payment into a campaign's budget.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPayment {
    /// From 1, without a gap. The last number may be sent again: nothing changes then, and its first amount counts.
    number: u64,
    /// Units of the currency, with up to 9 decimals; negative to pay out what is left.
    #[schema(example = "250.00")]
    amount: String,
}

/// What came of a payment.
#[derive(Serialize, ToSchema)]
pub(super) struct PaymentView {
    /// The payment's number.
    number: u64,
    /// It had been made already; nothing changed.
    repeated: bool,
    /// What may still be reserved now, in units of the currency.
    budget: String,
}

impl CampaignView {
    fn of(api: &Api, booking: &Booking) -> Self {
        let id = booking.id();
        let balance = |account| api.ledger.balance(&account).to_string();
        let creatives = api.bookings.creatives_of(id);
        Self {
            id: id.0,
            advertiser: booking.advertiser.0,
            created_at: clock::rfc3339_millis(booking.created_at),
            terms: CampaignForm::of(booking),
            budget: balance(Account::Budget(id)),
            reserved: balance(Account::Reserved(id)),
            payments: api.ledger.last_payment(id),
            creatives: creatives.iter().map(CreativeView::of).collect(),
        }
    }
}

/// An advertiser's campaigns.
#[utoipa::path(get, path = "/api/v1/advertisers/{id}/campaigns", tag = "campaigns", params(("id" = u64, Path)),
    security(("admin" = []), ("advertiser_key" = [])), responses(
        (status = 200, body = CampaignList),
        (status = 401, body = ErrorBody, description = "Neither the operator nor an advertiser"),
        (status = 404, body = ErrorBody, description = "There is no such advertiser, or it is another one"),
    ))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    booker: Booker,
    Number(id): Number,
) -> Result<Response, ApiError> {
    let advertiser = advertiser(&api, booker, id)?;
    let bookings = api.bookings.bookings_of(advertiser);
    let campaigns = bookings.iter().map(|booking| CampaignView::of(&api, booking)).collect();
    Ok(fresh(CampaignList { campaigns }))
}

/// Books a campaign. It bids once it has a budget and a creative that is approved.
#[utoipa::path(post, path = "/api/v1/advertisers/{id}/campaigns", tag = "campaigns", params(("id" = u64, Path)),
    security(("admin" = []), ("advertiser_key" = [])), request_body = CampaignForm, responses(
        (status = 201, body = CampaignView),
        (status = 401, body = ErrorBody, description = "Neither the operator nor an advertiser"),
        (status = 403, body = ErrorBody, description = "Priority, deal and fill-in are the operator's"),
        (status = 404, body = ErrorBody, description = "There is no such advertiser, or it is another one"),
        (status = 409, body = ErrorBody, description = "There are as many as there may be"),
        (status = 422, body = ErrorBody, description = "Values that are not allowed; the message says what is"),
    ))]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    booker: Booker,
    Number(id): Number,
    Json(form): Json<CampaignForm>,
) -> Result<Response, ApiError> {
    let advertiser = advertiser(&api, booker, id)?;
    let (name, terms) = form.read()?;
    check_privileges(booker, &form::usual(), &terms)?;
    let booking = api.bookings.add_campaign(advertiser, name, terms).await.map_err(named_as_here)?;
    let location = format!("/api/v1/campaigns/{}", booking.id());
    let view = fresh(CampaignView::of(&api, &booking));
    Ok((StatusCode::CREATED, [(LOCATION, location)], view).into_response())
}

/// One campaign, with its money.
#[utoipa::path(get, path = "/api/v1/campaigns/{id}", tag = "campaigns", params(("id" = u64, Path)),
    security(("admin" = []), ("advertiser_key" = [])), responses(
        (status = 200, body = CampaignView),
        (status = 401, body = ErrorBody, description = "Neither the operator nor an advertiser"),
        (status = 404, body = ErrorBody, description = "There is no such campaign, or it is another advertiser's"),
    ))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    booker: Booker,
    Number(id): Number,
) -> Result<Response, ApiError> {
    Ok(fresh(CampaignView::of(&api, &booking(&api, booker, CampaignId(id))?)))
}

/// Changes a campaign: the body is merged into what it is (RFC 7396), so that `null` takes a value back to its default and a
/// list replaces the list.
#[utoipa::path(patch, path = "/api/v1/campaigns/{id}", tag = "campaigns", params(("id" = u64, Path)),
    security(("admin" = []), ("advertiser_key" = [])),
    request_body(content = Object, description = "Any of the fields that a campaign is made with"), responses(
        (status = 200, body = CampaignView),
        (status = 401, body = ErrorBody, description = "Neither the operator nor an advertiser"),
        (status = 403, body = ErrorBody, description = "Priority, deal and fill-in are the operator's"),
        (status = 404, body = ErrorBody, description = "There is no such campaign, or it is another advertiser's"),
        (status = 422, body = ErrorBody, description = "Values that are not allowed; the message says what is"),
    ))]
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    booker: Booker,
    Number(id): Number,
    Json(patch): Json<Value>,
) -> Result<Response, ApiError> {
    let id = booking(&api, booker, CampaignId(id))?.id();
    let change = move |before: &Booking| -> Result<(String, Campaign), ApiError> {
        let (name, terms) = CampaignForm::of(before).merged(&patch)?.read()?;
        check_privileges(booker, &before.campaign, &terms)?;
        Ok((name, terms))
    };
    let changed = api.bookings.change_campaign(id, change).await.map_err(named_as_here)??;
    Ok(fresh(CampaignView::of(&api, &changed)))
}

/// Deletes a campaign that has no money left, and its creatives. Its reports stay.
#[utoipa::path(delete, path = "/api/v1/campaigns/{id}", tag = "campaigns", params(("id" = u64, Path)),
    security(("admin" = []), ("advertiser_key" = [])), responses(
        (status = 204),
        (status = 401, body = ErrorBody, description = "Neither the operator nor an advertiser"),
        (status = 404, body = ErrorBody, description = "There is no such campaign, or it is another advertiser's"),
        (status = 409, body = ErrorBody, description = "It has money left, or kept back"),
    ))]
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    booker: Booker,
    Number(id): Number,
) -> Result<StatusCode, ApiError> {
    let id = booking(&api, booker, CampaignId(id))?.id();
    api.bookings.delete_campaign(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pays into the campaign's budget, or out of it. The answer means that the payment survives a crash.
#[utoipa::path(post, path = "/api/v1/campaigns/{id}/payments", tag = "campaigns", params(("id" = u64, Path)),
    security(("admin" = [])), request_body = NewPayment, responses(
        (status = 200, body = PaymentView),
        (status = 401, body = ErrorBody, description = "No token, or a wrong one"),
        (status = 404, body = ErrorBody, description = "There is no such campaign"),
        (status = 409, body = ErrorBody, description = "Another number is next, or there is not so much to pay out"),
        (status = 422, body = ErrorBody, description = "No amount"),
        (status = 503, body = ErrorBody, description = "Whether it was kept is not known: send the same number again"),
    ))]
pub(super) async fn pay(
    State(api): State<Arc<Api>>,
    _: Operator,
    Number(id): Number,
    Json(payment): Json<NewPayment>,
) -> Result<Response, ApiError> {
    let (id, number) = (CampaignId(id), payment.number);
    let amount: Money =
        payment.amount.parse().map_err(|error| ApiError::invalid(format!("amount: {error}")))?;
    if amount == Money::ZERO {
        return Err(ApiError::invalid("amount: more than 0, or less to pay out"));
    }
    let paid = api.bookings.pay(id, number, amount).await.map_err(|error| match error {
        BookingError::Ledger(LedgerError::Refused(Refusal::OutOfOrder)) => {
            let next = api.ledger.last_payment(id).saturating_add(1);
            ApiError::conflict(format!("number: the next payment is number {next}"))
        }
        error => error.into(),
    })?;
    Ok(fresh(PaymentView { number, repeated: paid.is_repeated, budget: paid.budget.to_string() }))
}

/// The advertiser, if it is any business of the caller's.
fn advertiser(api: &Api, booker: Booker, id: u64) -> Result<AdvertiserId, BookingError> {
    let advertiser = api.bookings.advertiser(AdvertiserId(id)).filter(|one| booker.may_see(one.id));
    advertiser.map(|one| one.id).ok_or(BookingError::Missing(Thing::Advertiser))
}

/// The campaign, if it is any business of the caller's.
pub(super) fn booking(api: &Api, booker: Booker, id: CampaignId) -> Result<Booking, BookingError> {
    let booking = api.bookings.booking(id).filter(|booking| booker.may_see(booking.advertiser));
    booking.ok_or(BookingError::Missing(Thing::Campaign))
}

/// Who is served first, under which agreement and what is free is for the operator to say: an advertiser's campaign keeps what
/// it had.
fn check_privileges(booker: Booker, before: &Campaign, after: &Campaign) -> Result<(), ApiError> {
    let privileges = |terms: &Campaign| (terms.priority, terms.deal.clone());
    if privileges(before) == privileges(after) {
        return Ok(());
    }
    booker.check_operator().map_err(|_| {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "priority, deal and fill_in are for the operator to set",
        )
    })
}

/// Refused values by the names that they have over HTTP.
fn named_as_here(error: BookingError) -> BookingError {
    let BookingError::Invalid(problems) = error else { return error };
    let renamed = problems.into_iter().map(|(field, allowed)| match field {
        "bid" => {
            ("cpm", "more than 0 and up to 1000, with up to 6 decimals; exactly 0 with fill_in".to_owned())
        }
        "schedule" => ("start, end, day_parts", allowed),
        "window_ms" => ("separation.window_ms", allowed),

        field => (field, allowed),
    });
    BookingError::Invalid(renamed.collect())
}
