//! Ranking: a period's boards are derived from its metrics and can be derived again at any time.

use chrono::NaiveDate;
use commerce_boards::{Board, Period, PeriodKind};
use commerce_collector_domain::Weights;
use commerce_database::{DatabaseError, Template, WriteTransaction};
use sea_orm::{ConnectionTrait as _, Value};

use super::columns::stored_day;

/// Locked where rows are: whoever counts into the period waits until it is ranked, and whoever ranks it waits for those who
/// count, so that what is ranked is what was counted up to the version.
const COUNTS: &str = "SELECT changed, applied FROM business_periods WHERE period = ?{lock}";

const CLEAR: &str = "DELETE FROM ranking_board WHERE period = ?";

/// All boards of a period at once, each numbered for itself. The version is the number of changes that the period had
/// seen.
const RANK: &str = "INSERT INTO ranking_board \
     (period, `type`, `rank`, product_id, score, previous_rank, version) \
     SELECT ?, s.board, ROW_NUMBER() OVER (PARTITION BY s.board ORDER BY s.score DESC, s.product_id), \
     s.product_id, s.score, p.`rank`, ? FROM ({scores}) s \
     LEFT JOIN ranking_board p ON p.period = ? AND p.`type` = s.board AND p.product_id = s.product_id \
     WHERE s.score > 0";

const SCORES: &str = "SELECT {board} AS board, product_id, {score} AS score FROM {table} WHERE {key} = ?";

const APPLIED: &str = "UPDATE business_periods SET applied = ? WHERE period = ? AND applied < ?";

const FOLLOWED: &str = "SELECT 1 FROM ranking_board WHERE period = ? LIMIT 1";

/// Ranks a day, and the day after it where that has boards: its previous ranks were those of this day. What is ranked
/// is read under the write lock, so that no later rank is older.
pub(super) async fn rank_day(
    tx: &WriteTransaction,
    day: NaiveDate,
    weights: Weights,
) -> Result<(), DatabaseError> {
    rank_live(tx, Period::day(day), weights).await?;
    let next = Period::day(day).next();
    if is_ranked(tx, next).await? {
        rank_live(tx, next, weights).await?;
    }
    Ok(())
}

/// Ranks a week or month by its table, as it was aggregated when the period had seen `version` changes, and the period
/// after it where that has boards.
pub(super) async fn rank_period(
    tx: &WriteTransaction,
    period: Period,
    version: i64,
    weights: Weights,
) -> Result<(), DatabaseError> {
    rank(tx, period, version, weights).await?;
    let next = period.next();
    if is_ranked(tx, next).await? {
        let (_, applied) = counts(tx, next).await?;
        rank(tx, next, applied, weights).await?;
    }
    Ok(())
}

/// The name of the table that a period of this kind is ranked by.
pub(super) const fn table(kind: PeriodKind) -> &'static str {
    match kind {
        PeriodKind::Daily => "product_metrics_daily",
        PeriodKind::Weekly => "product_metrics_weekly",
        PeriodKind::Monthly => "product_metrics_monthly",
    }
}

/// How often a period has changed, and how often it had when it was last ranked.
async fn counts(tx: &WriteTransaction, period: Period) -> Result<(i64, i64), DatabaseError> {
    let statement = Template::new(COUNTS)
        .fragment("lock", tx.dialect().for_update())
        .statement(tx.dialect(), [period.to_string().into()]);
    match tx.query_one_raw(statement).await? {
        Some(row) => Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)),
        None => Ok((0, 0)),
    }
}

async fn is_ranked(tx: &WriteTransaction, period: Period) -> Result<bool, DatabaseError> {
    let statement = Template::new(FOLLOWED).statement(tx.dialect(), [period.to_string().into()]);
    Ok(tx.query_one_raw(statement).await?.is_some())
}

async fn rank_live(tx: &WriteTransaction, day: Period, weights: Weights) -> Result<(), DatabaseError> {
    let (version, _) = counts(tx, day).await?;
    rank(tx, day, version, weights).await?;
    let values = [version.into(), day.to_string().into(), version.into()];
    tx.execute_raw(Template::new(APPLIED).statement(tx.dialect(), values)).await?;
    Ok(())
}

async fn rank(
    tx: &WriteTransaction,
    period: Period,
    version: i64,
    weights: Weights,
) -> Result<(), DatabaseError> {
    let (name, before) = (period.to_string(), period.previous().to_string());
    let clear = Template::new(CLEAR).statement(tx.dialect(), [name.clone().into()]);
    tx.execute_raw(clear).await?;
    let key: Value = match period.kind() {
        PeriodKind::Daily => stored_day(period.first()).into(),
        PeriodKind::Weekly | PeriodKind::Monthly => name.clone().into(),
    };
    let scores = Board::ALL.map(|board| scores(board, period.kind(), weights));
    let ranked = Template::new(RANK).fragments("scores", " UNION ALL ", scores);
    let keys = std::iter::repeat_n(key, Board::ALL.len());
    let values = [name.into(), version.into()].into_iter().chain(keys).chain([before.into()]);
    tx.execute_raw(ranked.statement(tx.dialect(), values)).await?;
    Ok(())
}

fn scores(board: Board, kind: PeriodKind, weights: Weights) -> Template {
    let score = match board {
        Board::All => Template::new("{like} * likes + {view} * views + {order} * orders")
            .number("like", weights.like)
            .number("view", weights.view)
            .number("order", weights.order),
        Board::Like => Template::new("likes"),
        Board::View => Template::new("views"),
        Board::Order => Template::new("orders"),
    };
    let key = match kind {
        PeriodKind::Daily => "date",
        PeriodKind::Weekly | PeriodKind::Monthly => "period",
    };
    let scores = Template::new(SCORES).names("board", [board.name()]).fragment("score", score);
    scores.identifier("table", table(kind)).identifier("key", key)
}
