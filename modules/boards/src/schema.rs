//! The table, as steps of the schema of whoever ranks.

use commerce_database::Dialect;
use commerce_database::ddl::{create, flag, int, optional, primary, table, text, unique};

/// Name of the database in a data directory, which the collector makes.
pub const DATABASE_FILE: &str = "collector.sqlite";

/// Name of the table.
pub const TABLE: &str = "ranking_board";

/// The table's DDL. Scores are whole numbers; `version` counts how often the period had changed when it was ranked.
pub fn ranking_board(dialect: Dialect) -> String {
    let mut board = table(TABLE);
    board
        .col(text("period", 16))
        .col(text("type", 8))
        .col(int("rank"))
        .col(int("product_id"))
        .col(int("score"))
        .col(optional(int("previous_rank")))
        .col(int("version"))
        .primary_key(&mut primary(&["period", "type", "rank"]));
    create(dialect, &mut board)
}

/// DDL of the index that finds a product on a board.
pub fn product_index(dialect: Dialect) -> String {
    unique(dialect, "uq_ranking_board_product", TABLE, &["period", "type", "product_id"])
}

/// Name of the table of periods.
pub const PERIODS: &str = "business_periods";

/// DDL of the periods: how often what one holds has changed, and how often it had when it was last ranked (dirty where
/// they differ), and whether it is over and closed.
pub fn business_periods(dialect: Dialect) -> String {
    let mut periods = table(PERIODS);
    periods
        .col(text("period", 16))
        .col(int("changed").default(0).take())
        .col(int("applied").default(0).take())
        .col(optional(int("closed_at")))
        .col(flag("complete").default(false).take())
        .primary_key(&mut primary(&["period"]));
    create(dialect, &mut periods)
}
