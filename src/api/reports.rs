//! Reports over HTTP: what was shown, what it cost, what it earned; as JSON, or as CSV for spreadsheets.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::advertisers::{Number, fresh};
use super::caller::{Booker, Operator};
use super::campaigns::booking;
use super::channels::{ErrorBody, Named};
use super::{Api, overlays};
use crate::clock;
use crate::http::ApiError;
use crate::ledger::report::{
    Amounts, Displays, HOUR_MILLIS, MAX_ROWS, ReportFilter, ReportRow, Totals, csv, hour, totals,
    without_small_groups,
};
use crate::ledger::store::LedgerStoreError;
use crate::ledger::{Account, Attention, AttentionKind, CampaignId, UnixMillis};
use crate::media::ChannelName;

/// How far back a report goes that does not say: a week.
const USUAL_TIME: i64 = 7 * 24 * HOUR_MILLIS;

/// Which hours, and in which form.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReportQuery {
    /// The first moment, RFC 3339; the hour that it is in is reported whole. A week before `to` if it is left out.
    from: Option<String>,
    /// The first moment after it, RFC 3339; an hour that has begun is reported whole. Now if it is left out.
    to: Option<String>,
    /// `json` or `csv`; without it, `Accept: text/csv` asks for CSV.
    format: Option<Form>,
    /// Of this campaign only.
    campaign: Option<u64>,
    /// In this channel only.
    channel: Option<String>,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    Json,
    Csv,
}

/// A report. Displays that viewers' pages told and those that the server counted stand apart everywhere.
#[derive(Serialize, ToSchema)]
pub(super) struct ReportView {
    /// The beginning of the first hour, RFC 3339.
    from: String,
    /// The end of the last hour, RFC 3339.
    to: String,
    /// By campaign, channel, hour and cohort.
    rows: Vec<RowView>,
    /// Of all rows.
    total: ClassesView,
    /// What the channel's broadcaster has earned since the beginning, in units of the currency; in statements only.
    #[serde(skip_serializing_if = "Option::is_none")]
    earned_in_all: Option<String>,
}

/// What was shown in an hour.
#[derive(Serialize, ToSchema)]
struct RowView {
    campaign: u64,
    channel: String,
    /// To whom; `null` for groups that are too small to be told apart.
    cohort: Option<String>,
    /// The beginning of the hour, RFC 3339.
    hour: String,
    #[serde(flatten)]
    displays: ClassesView,
}

/// Displays by how they are known.
#[derive(Serialize, ToSchema)]
struct ClassesView {
    /// Told by viewers' pages.
    client: ClientView,
    /// Burned in, counted by the server.
    server: DisplaysView,
}

/// Displays that viewers' pages told, and the attention that they got.
#[derive(Serialize, ToSchema)]
struct ClientView {
    #[serde(flatten)]
    displays: DisplaysView,
    /// At least half of it in view for a second, as the MRC wants.
    viewable: u64,
    /// A quarter of it was seen.
    first_quartile: u64,
    /// Half of it was seen.
    midpoint: u64,
    /// Three quarters of it were seen.
    third_quartile: u64,
    /// All of it was seen.
    complete: u64,
    /// The viewer has closed it.
    close: u64,
    /// The viewer has followed it.
    click: u64,
}

/// Displays and what they cost, in units of the currency.
#[derive(Serialize, ToSchema)]
struct DisplaysView {
    /// That were paid for.
    charged: u64,
    /// Beyond what was reserved.
    free: u64,
    /// What the campaigns paid; not in statements.
    #[serde(skip_serializing_if = "Option::is_none")]
    spent: Option<String>,
    /// What of that the broadcasters earned; not in an advertiser's reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    earned: Option<String>,
}

impl ClassesView {
    fn of(client: Displays, server: Displays, attention: &Attention, amounts: Amounts) -> Self {
        let view = |displays: Displays| DisplaysView {
            charged: displays.charged,
            free: displays.free,
            spent: amounts.spent.then(|| displays.spent.to_string()),
            earned: amounts.earned.then(|| displays.earned.to_string()),
        };
        let client = ClientView {
            displays: view(client),
            viewable: attention.of(AttentionKind::Viewable),
            first_quartile: attention.of(AttentionKind::FirstQuartile),
            midpoint: attention.of(AttentionKind::Midpoint),
            third_quartile: attention.of(AttentionKind::ThirdQuartile),
            complete: attention.of(AttentionKind::Complete),
            close: attention.of(AttentionKind::Close),
            click: attention.of(AttentionKind::Click),
        };
        Self { client, server: view(server) }
    }
}

/// What is asked for, and in which form.
pub(super) struct Asked {
    query: ReportQuery,
    form: Form,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query: Result<Query<ReportQuery>, QueryRejection> = Query::from_request_parts(parts, state).await;
        let Query(query) = query.map_err(|rejection| ApiError::invalid(rejection.body_text()))?;
        let form = query.format.unwrap_or_else(|| accepted(&parts.headers));
        Ok(Self { query, form })
    }
}

/// What was shown everywhere.
#[utoipa::path(get, path = "/api/v1/reports", tag = "reports", params(ReportQuery), security(("admin" = [])), responses(
    (status = 200, body = ReportView),
    (status = 401, body = ErrorBody, description = "No token, or a wrong one"),
    (status = 422, body = ErrorBody, description = "A value is not allowed, or the report would be too long"),
))]
pub(super) async fn of_all(
    State(api): State<Arc<Api>>,
    _: Operator,
    asked: Asked,
) -> Result<Response, ApiError> {
    let campaign = asked.query.campaign.map(CampaignId);
    let channel = asked.query.channel.as_deref().map(str::parse::<ChannelName>).transpose();
    let channel = channel.map_err(|error| ApiError::invalid(format!("channel: {error}")))?;
    answer(&api, &asked, campaign, channel, Amounts::ALL).await
}

/// What was shown of a campaign, where, when and to whom.
#[utoipa::path(get, path = "/api/v1/reports/campaigns/{id}", tag = "reports", params(("id" = u64, Path), ReportQuery),
    security(("admin" = []), ("advertiser_key" = [])), responses(
        (status = 200, body = ReportView),
        (status = 401, body = ErrorBody, description = "Neither the operator nor an advertiser"),
        (status = 404, body = ErrorBody, description = "There is no such campaign, or it is another advertiser's"),
        (status = 422, body = ErrorBody, description = "A value is not allowed, or the report would be too long"),
    ))]
pub(super) async fn of_campaign(
    State(api): State<Arc<Api>>,
    booker: Booker,
    Number(id): Number,
    asked: Asked,
) -> Result<Response, ApiError> {
    let id = CampaignId(id);
    // The ledger knows campaigns that are deleted, and so does the operator.
    if !booker.is_operator() {
        booking(&api, booker, id)?;
    }
    if asked.query.campaign.is_some() || asked.query.channel.is_some() {
        return Err(ApiError::invalid("the query has from, to and format"));
    }
    let amounts = Amounts { spent: true, earned: booker.is_operator() };
    answer(&api, &asked, Some(id), None, amounts).await
}

/// A broadcaster's statement: what was shown in the channel, and what that earned.
#[utoipa::path(get, path = "/api/v1/reports/channels/{name}", tag = "reports", params(("name" = String, Path), ReportQuery),
    security(("admin" = []), ("stream_key" = [])), responses(
        (status = 200, body = ReportView),
        (status = 401, body = ErrorBody, description = "Neither the operator nor the channel's broadcaster"),
        (status = 422, body = ErrorBody, description = "A value is not allowed, or the report would be too long"),
    ))]
pub(super) async fn of_channel(
    State(api): State<Arc<Api>>,
    Named(name): Named,
    headers: HeaderMap,
    asked: Asked,
) -> Result<Response, ApiError> {
    overlays::check(&api, &name, &headers)?;
    if asked.query.campaign.is_some() || asked.query.channel.is_some() {
        return Err(ApiError::invalid("the query has from, to and format"));
    }
    answer(&api, &asked, None, Some(name), Amounts { spent: false, earned: true }).await
}

async fn answer(
    api: &Api,
    asked: &Asked,
    campaign: Option<CampaignId>,
    channel: Option<ChannelName>,
    amounts: Amounts,
) -> Result<Response, ApiError> {
    let (from, to) = hours(&asked.query, clock::unix_now())?;
    let statement = channel.clone().filter(|_| !amounts.spent);
    let filter = ReportFilter { campaign, channel, from, to };
    let rows = api.ledger.report(&filter).await?;
    let rows = without_small_groups(rows, u64::from(api.bookings.config().report_k));
    if asked.form == Form::Csv {
        let about = [
            (CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
            (CACHE_CONTROL, "private, no-store"),
            (VARY, "Accept"),
        ];
        return Ok((about, csv(&rows, amounts)).into_response());
    }
    let Totals { client, server, attention } = totals(&rows);
    let view = ReportView {
        from: clock::rfc3339_millis(from),
        to: clock::rfc3339_millis(to),
        rows: rows.iter().map(|row| row_view(row, amounts)).collect(),
        total: ClassesView::of(client, server, &attention, amounts),
        earned_in_all: statement.map(|name| api.ledger.balance(&Account::Broadcaster(name)).to_string()),
    };
    Ok(([(VARY, "Accept")], fresh(view)).into_response())
}

fn row_view(row: &ReportRow, amounts: Amounts) -> RowView {
    RowView {
        campaign: row.campaign.0,
        channel: row.channel.to_string(),
        cohort: row.cohort.clone(),
        hour: hour(row),
        displays: ClassesView::of(row.client, row.server, &row.attention, amounts),
    }
}

/// The hours that are asked for, whole: the difference of two reports must not be a single display.
fn hours(query: &ReportQuery, now: UnixMillis) -> Result<(UnixMillis, UnixMillis), ApiError> {
    let moment = |field: &str, text: &Option<String>| -> Result<Option<UnixMillis>, ApiError> {
        let Some(text) = text else { return Ok(None) };
        let moment = clock::parse_rfc3339(text);
        let message =
            || format!("{field}: a moment like 2026-03-01T00:00:00Z (RFC 3339), with + written as %2B");
        moment.map(Some).ok_or_else(|| ApiError::invalid(message()))
    };
    let to = moment("to", &query.to)?.unwrap_or(now);
    let from = moment("from", &query.from)?.unwrap_or(to - USUAL_TIME);
    if from >= to {
        return Err(ApiError::invalid("from: before to"));
    }
    let begin = |at: UnixMillis| at.div_euclid(HOUR_MILLIS) * HOUR_MILLIS;
    Ok((begin(from), begin(to + HOUR_MILLIS - 1)))
}

/// What the headers ask for: CSV if it is named, JSON otherwise.
fn accepted(headers: &HeaderMap) -> Form {
    let names_csv = |value: &http::HeaderValue| value.to_str().is_ok_and(|text| text.contains("text/csv"));
    if headers.get_all(ACCEPT).iter().any(names_csv) { Form::Csv } else { Form::Json }
}

impl From<LedgerStoreError> for ApiError {
    fn from(error: LedgerStoreError) -> Self {
        match error {
            LedgerStoreError::TooLong => {
                Self::invalid(format!("the report has more than {MAX_ROWS} lines: ask for fewer hours"))
            }
            error => {
                tracing::error!(%error, "the ledger could not be read");
                Self::internal()
            }
        }
    }
}
