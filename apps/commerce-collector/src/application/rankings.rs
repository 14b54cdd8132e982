use std::sync::Arc;

use chrono::NaiveDate;
use commerce_boards::{Board, BoardError, BoardReader, Page, Period, PeriodKind, Place};
use commerce_runtime::{BusinessZone, Clock};

/// Reads of the boards, by the shop's calendar.
#[derive(Clone)]
pub struct Rankings {
    boards: BoardReader,
    clock: Arc<dyn Clock>,
    zone: BusinessZone,
}

impl Rankings {
    /// Over these boards.
    pub fn new(boards: BoardReader, clock: Arc<dyn Clock>, zone: BusinessZone) -> Self {
        Self { boards, clock, zone }
    }

    /// Today in the shop's zone.
    pub fn today(&self) -> NaiveDate {
        self.zone.day(self.clock.now_us()).unwrap_or_default()
    }

    /// A page of the board of the period that `day` falls in; `page` counts from 1.
    pub async fn page(
        &self,
        kind: PeriodKind,
        board: Board,
        day: NaiveDate,
        page: u32,
        size: u32,
    ) -> Result<Arc<Page>, BoardError> {
        let offset = u64::from(page.saturating_sub(1)) * u64::from(size);
        self.boards.page(Period::of(kind, day), board, offset, size.into()).await
    }

    /// A product's places on the boards of the period that `day` falls in.
    pub async fn places(
        &self,
        kind: PeriodKind,
        day: NaiveDate,
        product: i64,
    ) -> Result<Arc<[(Board, Place)]>, BoardError> {
        self.boards.places(Period::of(kind, day), product).await
    }
}
