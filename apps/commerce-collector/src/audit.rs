//! What the audit has to know of the analytics side. All of it is read at one moment.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use commerce_boards::{Board, Period};
use commerce_collector_domain::{Metrics, Weights, standings};

use crate::application::ports::StoreError;

pub use crate::application::ports::{CountedTo, StoreError as FactsError};
pub use crate::infrastructure::Facts;

/// Events of one aggregate that were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandledRange {
    /// How many different sequence numbers.
    pub count: i64,
    /// The lowest.
    pub first: i64,
    /// The highest; without a gap `last - first + 1` is the count.
    pub last: i64,
}

/// A dead letter whose event is not counted, as far as it is known what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenDeadLetter {
    /// Its id.
    pub id: i64,
    /// Why it was set aside.
    pub cause: String,
    /// Whose sequence it counts in.
    pub aggregate_type: Option<String>,
    /// Which of them.
    pub aggregate_id: Option<String>,
    /// Its place in that sequence.
    pub sequence: Option<i64>,
}

/// What is wrong with the boards and totals, or merely lags.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BoardFindings {
    /// Days that were compared.
    pub days: usize,
    /// Weeks and months that were compared.
    pub periods: usize,
    /// What does not agree with what was counted: subject and detail.
    pub wrong: Vec<(String, String)>,
    /// Days, weeks and months that have changed since they were ranked.
    pub pending: Vec<String>,
}

/// A place as the table has it: product, score, previous rank, by rank.
pub(crate) type Ranked = BTreeMap<i64, (i64, i64, Option<i64>)>;

impl Facts {
    /// Compares the live totals with the sum of all days, weeks and months with the sums of theirs, and every board with
    /// the metrics of its period. `weights` are those that the boards are ranked by.
    pub async fn boards(&self, weights: Weights) -> Result<BoardFindings, StoreError> {
        let mut findings = BoardFindings::default();
        self.compare_totals(&mut findings).await?;
        let days = self.days().await?;
        for (day, dirty) in &days {
            let period = Period::day(*day);
            let yesterday = days.get(&period.previous().first());
            if *dirty || yesterday.is_some_and(|dirty| *dirty) {
                findings.pending.push(period.to_string());
                continue;
            }
            findings.days += 1;
            let metrics = self.metrics_of(*day).await?;
            self.compare_boards(period, &metrics, weights, &mut findings).await?;
        }
        self.compare_periods(weights, &mut findings).await?;
        Ok(findings)
    }

    /// Weeks and months that were aggregated: those that are dirty, or come after a dirty one, are so again soon.
    async fn compare_periods(
        &self,
        weights: Weights,
        findings: &mut BoardFindings,
    ) -> Result<(), StoreError> {
        let periods = self.periods().await?;
        for (period, (dirty, through)) in &periods {
            if *dirty || periods.get(&period.previous()).is_some_and(|(dirty, _)| *dirty) {
                findings.pending.push(period.to_string());
                continue;
            }
            let Some(through) = through else { continue };
            findings.periods += 1;
            let found = self.metrics_of_period(*period).await?;
            let expected = self.sums(period.first(), *through).await?;
            if found != expected {
                let products = expected.keys().chain(found.keys());
                let first = products.filter(|id| found.get(id) != expected.get(id)).min();
                let first = first.copied().unwrap_or_default();
                let detail = format!(
                    "product {first} has {:?} where its days have {:?}",
                    found.get(&first),
                    expected.get(&first)
                );
                findings.wrong.push((format!("metrics:{period}"), detail));
            }
            self.compare_boards(*period, &found, weights, findings).await?;
        }
        Ok(())
    }

    async fn compare_boards(
        &self,
        period: Period,
        metrics: &BTreeMap<i64, Metrics>,
        weights: Weights,
        findings: &mut BoardFindings,
    ) -> Result<(), StoreError> {
        let (found, before) = (self.board(period).await?, self.board(period.previous()).await?);
        for board in Board::ALL {
            let scores = metrics.iter().map(|(product, metrics)| (*product, score(board, metrics, weights)));
            let previous: BTreeMap<i64, i64> = before
                .get(&board)
                .into_iter()
                .flatten()
                .map(|(rank, (product, ..))| (*product, *rank))
                .collect();
            let place = |standing: &commerce_collector_domain::Standing| {
                (standing.rank, (standing.product, standing.score, previous.get(&standing.product).copied()))
            };
            let expected: Ranked = standings(scores).iter().map(place).collect();
            let found = found.get(&board).cloned().unwrap_or_default();
            if found != expected {
                let first = expected.iter().find(|(rank, place)| found.get(rank) != Some(place));
                let detail = format!(
                    "{} places where {} were counted; the first that differs should be {first:?}",
                    found.len(),
                    expected.len()
                );
                findings.wrong.push((format!("board:{period}:{}", board.name()), detail));
            }
        }
        Ok(())
    }

    async fn compare_totals(&self, findings: &mut BoardFindings) -> Result<(), StoreError> {
        for (product, total, days) in self.totals_that_differ().await? {
            let detail = format!("its total is {total:?}, the sum of its days {days:?}");
            findings.wrong.push((format!("metrics:{product}"), detail));
        }
        Ok(())
    }
}

fn score(board: Board, metrics: &Metrics, weights: Weights) -> i64 {
    match board {
        Board::All => weights.score(metrics),
        Board::Like => metrics.likes,
        Board::View => metrics.views,
        Board::Order => metrics.orders,
    }
}

/// Metrics by business day and product.
pub type Daily = BTreeMap<(NaiveDate, i64), Metrics>;
