//! Random days of ten years: whatever order, however often, however late events come, every table and board is what plain
//! maps over the events make of them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Weekday};
use commerce_boards::PeriodKind;
use commerce_collector::Collector;
use commerce_contracts::time::rfc3339;
use commerce_database::Database;
use sea_orm::{ConnectionTrait as _, Statement};

use crate::jobs::{Daily, force, jobs, sums, table};
use crate::support::events::recount;
use crate::support::{Bench, Counts, Event, Numbers, number};

/// 2029-01-05 in Seoul: all ISO weeks of 2019 to 2028 are over.
const NOW: &str = "2029-01-05T00:00:00Z";
const PRODUCTS: u64 = 25;

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.roll(last as u64 + 1);
            items.swap(last, usize::try_from(other).unwrap());
        }
    }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Days of weeks between 2019-W01 and 2028-W52, and those at which calendars go wrong.
fn days(dice: &mut Dice) -> BTreeSet<NaiveDate> {
    let first = NaiveDate::from_isoywd_opt(2019, 1, Weekday::Mon).unwrap();
    let odd =
        ["2018-12-31", "2020-12-28", "2021-01-01", "2021-01-03", "2024-12-30", "2028-02-29", "2028-12-31"];
    let mut days: BTreeSet<_> = odd.into_iter().map(day).collect();
    for _ in 0..60 {
        // 522 weeks.
        let monday = first + Days::new(7 * dice.roll(522));
        days.extend((0..2).map(|_| monday + Days::new(dice.roll(7))));
    }
    days
}

/// A moment of that day in Seoul, often its first or last.
fn moment(dice: &mut Dice, of: NaiveDate) -> i64 {
    let midnight = of.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp_micros() - 9 * 3_600_000_000;
    match dice.roll(4) {
        0 => midnight,
        1 => midnight + 86_400_000_000 - 1,
        _ => midnight + i64::try_from(dice.roll(86_400)).unwrap() * 1_000_000,
    }
}

fn events(dice: &mut Dice, days: &BTreeSet<NaiveDate>, mut number: u128) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let days: Vec<_> = days.iter().copied().collect();
    for day in &days {
        for _ in 0..4 + dice.roll(6) {
            number += 1;
            let product = i64::try_from(dice.roll(PRODUCTS)).unwrap() + 1;
            let user = i64::try_from(number).unwrap();
            let lines = |dice: &mut Dice| {
                let quantity = i64::try_from(dice.roll(5)).unwrap() + 1;
                vec![(product, quantity, 700), (product % 25 + 1, 1, 900), (product, 1, 650)]
            };
            let event = match dice.roll(8) {
                0..=2 => Event::viewed(number, product),
                3 => Event::liked(number, product, user),
                4 => Event::unliked(number, product, user),
                5 => Event::requested(number, number),
                _ => Event::paid(number, number, &lines(dice)),
            };
            let event = Event { at_us: moment(dice, *day), ..event };
            if event.kind == "OrderPaid" && dice.roll(3) == 0 {
                // Cancelled on another day, or never paid at all.
                number += 1;
                let paid = dice.roll(4) > 0;
                let later = days[usize::try_from(dice.roll(days.len() as u64)).unwrap()].max(*day);
                let canceled = Event::canceled(number, &event, paid);
                events.push(Event { at_us: moment(dice, later), ..canceled });
            }
            events.push(event);
        }
    }
    events
}

/// Published in any order, some of them twice.
async fn publish(bench: &Bench, dice: &mut Dice, events: &[Event]) {
    let mut all: Vec<Event> = events.to_vec();
    all.extend(events.iter().filter(|_| dice.roll(8) == 0).cloned());
    dice.shuffle(&mut all);
    for chunk in all.chunks(500) {
        bench.publish(chunk).await;
    }
}

fn daily_of(counts: &Counts) -> Daily {
    let day = |stored: i64| {
        let part = |number: i64| u32::try_from(number).unwrap();
        let year = i32::try_from(stored / 10_000).unwrap();
        NaiveDate::from_ymd_opt(year, part(stored / 100 % 100), part(stored % 100)).unwrap()
    };
    counts.daily.iter().map(|((stored, product), numbers)| ((day(*stored), *product), *numbers)).collect()
}

/// The boards that these metrics make, as lines of text.
fn boards(of: &BTreeMap<(String, i64), Numbers>) -> BTreeSet<String> {
    let mut scores: BTreeMap<(String, &str), Vec<(i64, i64)>> = BTreeMap::new();
    for ((period, product), [views, likes, orders, ..]) in of {
        for (board, score) in
            [("ALL", 2 * likes + views + 6 * orders), ("LIKE", *likes), ("VIEW", *views), ("ORDER", *orders)]
        {
            if score > 0 {
                scores.entry((period.clone(), board)).or_default().push((-score, *product));
            }
        }
    }
    let mut lines = BTreeSet::new();
    for ((period, board), mut places) in scores {
        places.sort_unstable();
        for (rank, (score, product)) in (1..).zip(places) {
            lines.insert(format!("{period} {board} {rank} {product} {}", -score));
        }
    }
    lines
}

async fn found_boards(database: &Database) -> BTreeSet<String> {
    let sql = "SELECT period || ' ' || `type` || ' ' || `rank` || ' ' || product_id || ' ' || score FROM ranking_board";
    let statement = Statement::from_string(database.dialect().backend(), sql);
    let rows = database.reader().query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// Everything is what the events say.
async fn agree(bench: &Bench, collector: &Collector, events: &[Event], dead_letters: i64) {
    let expected = Counts { dead_letters, ..recount(events) };
    assert_eq!(Counts::read(&collector.database).await, expected);
    let daily = daily_of(&expected);
    let (weeks, months) = (sums(&daily, PeriodKind::Weekly), sums(&daily, PeriodKind::Monthly));
    let jobs = jobs(bench, collector);
    let periods: BTreeSet<&String> = weeks.keys().chain(months.keys()).map(|(period, _)| period).collect();
    for period in periods {
        force(&jobs, period).await.unwrap();
    }
    assert_eq!(table(&collector.database, PeriodKind::Weekly).await, weeks);
    assert_eq!(table(&collector.database, PeriodKind::Monthly).await, months);
    let mut all: BTreeMap<(String, i64), Numbers> = BTreeMap::new();
    for ((day, product), numbers) in daily {
        let name = format!("D{:04}{:02}{:02}", day.year(), day.month(), day.day());
        all.insert((name, product), numbers);
    }
    all.extend(weeks);
    all.extend(months);
    let (expected, found) = (boards(&all), found_boards(&collector.database).await);
    let wrong: Vec<_> = expected.symmetric_difference(&found).take(10).collect();
    assert!(wrong.is_empty() && expected.len() > 1_000, "{} places, {wrong:?}", expected.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_days_of_ten_years_come_to_what_a_recount_says() {
    let now_us = DateTime::parse_from_rfc3339(NOW).unwrap().timestamp_micros();
    for seed in [1, 53] {
        let dice = &mut Dice(seed);
        let bench = Bench::open().await;
        bench.clock.set(now_us);
        let days = days(dice);
        let first = events(dice, &days, 0);
        let future: Vec<_> = (0..5_i64)
            .map(|n| {
                Event::viewed(900_000 + u128::try_from(n).unwrap(), 3).at(&rfc3339(now_us + 301_000_000 + n))
            })
            .collect();
        publish(&bench, dice, &first).await;
        bench.publish(&future).await;
        for n in 0..7 {
            bench.publish_bytes("product", &n.to_string(), format!("poison {n}").as_bytes()).await;
        }
        let whole = |options: &mut commerce_collector::Options| options.consumer.dead_letter_percent = 100;
        // Two that race for the partitions.
        let (one, other) = (bench.start_with(whole).await, bench.start_with(whole).await);
        let collector = bench.collector().await;
        bench.counted(&collector.database).await;
        other.stop().await;
        one.stop().await;
        agree(&bench, &collector, &first, 12).await;

        // What comes late belongs to days, weeks and months that were ranked.
        let late = events(dice, &days.iter().copied().step_by(5).collect(), 500_000);
        publish(&bench, dice, &late).await;
        let running = bench.start_with(whole).await;
        bench.counts_after(running).await;
        let dirty = "SELECT COUNT(*) FROM business_periods WHERE changed > applied AND period >= 'E'";
        assert!(number(&collector.database, dirty).await > 20, "weeks and months are marked");
        agree(&bench, &collector, &[first, late].concat(), 12).await;
        assert_eq!(number(&collector.database, dirty).await, 0);
        collector.close().await;
    }
}
