use std::process::ExitCode;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use commerce_api_application::ports::{BoardPeriod, BoardType};
use commerce_api_application::{Ranking, Rankings};

use crate::cli::{Global, Length, Ranked, Report};
use crate::console;
use crate::failure::Failure;
use crate::setup;

/// Prints a board with names, from the data directory.
pub async fn run(global: &Global, options: &Report) -> Result<ExitCode, Failure> {
    let config = setup::for_operator(global)?.api;
    let platform = setup::open_existing(&config).await?;
    let period = match options.period {
        Length::Daily => BoardPeriod::Daily,
        Length::Weekly => BoardPeriod::Weekly,
        Length::Monthly => BoardPeriod::Monthly,
    };
    let kind = match options.ranked {
        Ranked::All => BoardType::All,
        Ranked::Like => BoardType::Like,
        Ranked::View => BoardType::View,
        Ranked::Order => BoardType::Order,
    };
    let (boards, catalogue, clock) =
        (platform.boards.clone(), platform.catalogue.clone(), platform.clock.clone());
    let ranking =
        Rankings::new(boards, catalogue, clock).page((period, kind), options.date, 1, options.top).await;
    platform.database.close().await;
    console::line(&text_of(&ranking?, period, kind));
    Ok(ExitCode::SUCCESS)
}

fn text_of(ranking: &Ranking, period: BoardPeriod, kind: BoardType) -> String {
    let (name, day) = (name_of(period, ranking), ranking.day);
    let state = if ranking.complete { "complete" } else { "not over yet, or not ranked" };
    let mut lines = vec![format!("{name} by {}: {} products, {state}", told(kind), ranking.total)];
    if ranking.products.is_empty() {
        lines.push(format!("no product has a place; {day} may lie before the first event or after the last"));
        return lines.join("\n");
    }
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["rank", "before", "change", "product", "name", "price", "score"]);
    for index in [0, 1, 2, 3, 5, 6] {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for ranked in &ranking.products {
        let (place, product) = (ranked.place, &ranked.product);
        table.add_row([
            place.rank.to_string(),
            place.previous_rank.map_or_else(|| "new".to_owned(), |rank| rank.to_string()),
            place.change().map_or_else(String::new, |change| format!("{change:+}")),
            product.id.0.to_string(),
            product.name.clone(),
            product.price.won().to_string(),
            score(kind, place.score),
        ]);
    }
    lines.push(table.to_string());
    lines.join("\n")
}

fn name_of(period: BoardPeriod, ranking: &Ranking) -> String {
    let format = match period {
        BoardPeriod::Daily => "%Y-%m-%d",
        BoardPeriod::Weekly => "%G-W%V",
        BoardPeriod::Monthly => "%Y-%m",
    };
    ranking.day.format(format).to_string()
}

const fn told(kind: BoardType) -> &'static str {
    match kind {
        BoardType::All => "views, likes and orders, weighted",
        BoardType::Like => "likes",
        BoardType::View => "views",
        BoardType::Order => "orders",
    }
}

/// The board of everything is kept in tenths.
fn score(kind: BoardType, score: i64) -> String {
    match kind {
        BoardType::All => format!("{}.{}", score / 10, score % 10),
        _ => score.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_board_says_so() {
        let day = "2021-01-01".parse().unwrap();
        let ranking = Ranking { day, total: 0, complete: false, products: Vec::new() };
        let text = text_of(&ranking, BoardPeriod::Weekly, BoardType::Order);
        assert!(text.starts_with("2020-W53 by orders: 0 products"), "{text}");
        assert_eq!(score(BoardType::All, 137), "13.7");
        assert_eq!(score(BoardType::Like, 137), "137");
    }
}
