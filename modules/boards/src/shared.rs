//! Boards in Redis: a copy of what is ranked, which every node reads and any node may make anew.
//!
//! A board is a sorted set of products by their scores below zero, so that it is in the order of its ranks; beside it
//! stand the ranks of the period before, and what it must hold to be whole. It is *set*, never added to: written under
//! keys of its own, and put in its place at once, unless what is there is of a higher version.

use std::sync::LazyLock;
use std::time::Duration;

use commerce_redis::{Redis, RedisError, Script, ScriptInvocation, cmd, pipe};

use crate::{Board, Period, Place};

/// How long a board is kept: what no version tells, such as other weights, is seen after this.
const KEPT: Duration = Duration::from_mins(1);
/// Places of one read at most.
const READ_MAX: u64 = 1_000;
/// Places of one write at most.
const WRITE_MAX: usize = 1_000;
/// Scores that are exact as floating-point numbers, with room.
const SCORE_MAX: i64 = 1 << 52;

/// Whether the board is there, whole, and not older than a version; a part of the scripts below.
const WHOLE: &str = r"
local function whole(board, previous, about, version)
  local there = redis.call('HMGET', about, 'version', 'places', 'previous')
  return there[1] and tonumber(there[1]) >= tonumber(version)
    and redis.call('ZCARD', board) == tonumber(there[2])
    and redis.call('HLEN', previous) == tonumber(there[3])
end
";

static IS_THERE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[WHOLE, "return whole(KEYS[1], KEYS[2], KEYS[3], ARGV[1]) and 1 or 0"].concat())
});

static PAGE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        &[
            WHOLE,
            r"
if not whole(KEYS[1], KEYS[2], KEYS[3], ARGV[1]) then
  return false
end
local found, previous = redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[3], 'WITHSCORES'), {}
local products = {}
for i = 1, #found, 2 do
  products[#products + 1] = found[i]
end
if #products > 0 then
  previous = redis.call('HMGET', KEYS[2], unpack(products))
end
return {redis.call('ZCARD', KEYS[1]), found, previous}
",
        ]
        .concat(),
    )
});

/// Three keys a board.
static PLACES: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        &[
            WHOLE,
            r"
local places = {}
for i = 1, #KEYS, 3 do
  if not whole(KEYS[i], KEYS[i + 1], KEYS[i + 2], ARGV[1]) then
    return false
  end
  local rank = redis.call('ZRANK', KEYS[i], ARGV[2])
  if rank then
    places[#places + 1] =
      {rank, redis.call('ZSCORE', KEYS[i], ARGV[2]), redis.call('HGET', KEYS[i + 1], ARGV[2])}
  else
    places[#places + 1] = {}
  end
end
return places
",
        ]
        .concat(),
    )
});

/// A name that nobody has had, not even before the server forgot everything.
static NAME: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
return time[1] .. '-' .. time[2] .. '-' .. redis.call('INCR', KEYS[1])
",
    )
});

/// Puts what was written in its place, if all of it is there and nothing newer is.
static PUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local version, places, previous = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local there = tonumber(redis.call('HGET', KEYS[3], 'version') or '')
local complete = redis.call('ZCARD', KEYS[4]) == places and redis.call('HLEN', KEYS[5]) == previous
if not complete or (there and there > version) then
  redis.call('DEL', KEYS[4], KEYS[5])
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
if places > 0 then
  redis.call('RENAME', KEYS[4], KEYS[1])
end
if previous > 0 then
  redis.call('RENAME', KEYS[5], KEYS[2])
end
redis.call('HSET', KEYS[3], 'version', version, 'places', places, 'previous', previous)
for i = 1, 3 do
  redis.call('PEXPIRE', KEYS[i], ARGV[4])
end
return 1
",
    )
});

/// A product of a board, as Redis tells it: rank from 0, score, rank in the period before.
type Told = (Option<u64>, Option<String>, Option<i64>);

/// A page as Redis tells it: how many places there are in all, products with scores, their ranks in the period before.
type Answer = Option<(i64, Vec<(String, String)>, Vec<Option<i64>>)>;

/// Boards in Redis.
#[derive(Debug, Clone)]
pub struct SharedBoards {
    redis: Redis,
}

impl SharedBoards {
    /// In `redis`.
    pub const fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Places `offset + 1` to `offset + limit`, and how many there are in all; none where the board is not there as of
    /// `version` or later, or cannot be told.
    pub async fn page(
        &self,
        (period, board): (Period, Board),
        version: i64,
        offset: u64,
        limit: u64,
    ) -> Option<(Vec<Place>, i64)> {
        let last = offset.checked_add(limit)?.checked_sub(1)?;
        if !(1..=READ_MAX).contains(&limit) || i64::try_from(last).is_err() {
            return None;
        }
        let mut script = PAGE.prepare_invoke();
        self.keys(&mut script, period, board).arg(version).arg(offset).arg(last);
        let answer: Answer = self.redis.read_script("board_page", &script).await.ok()?;
        let (total, found, previous) = answer?;
        let places =
            found.into_iter().zip(previous).zip(offset..).map(|(((product, score), previous), rank)| {
                place(product.parse().ok()?, (Some(rank), Some(score), previous))
            });
        Some((places.collect::<Option<_>>()?, total))
    }

    /// A product's places on all boards of a period; none where one of them is not there as of `version` or later.
    pub async fn places(&self, period: Period, product: i64, version: i64) -> Option<Vec<(Board, Place)>> {
        let mut script = PLACES.prepare_invoke();
        for board in Board::ALL {
            self.keys(&mut script, period, board);
        }
        script.arg(version).arg(member(product)?);
        let answer: Option<Vec<Vec<Option<String>>>> =
            self.redis.read_script("board_places", &script).await.ok()?;
        let mut places = Vec::new();
        for (board, told) in Board::ALL.into_iter().zip(answer?) {
            if let [rank, score, previous] = &told[..] {
                let number = |text: &Option<String>| text.as_deref().map(str::parse).transpose().ok();
                let rank = rank.as_deref().map(str::parse).transpose().ok()?;
                places.push((board, place(product, (rank, score.clone(), number(previous)?))?));
            }
        }
        Some(places)
    }

    /// Whether the board is there and whole, as of `version` or later.
    pub async fn has(&self, period: Period, board: Board, version: i64) -> Result<bool, RedisError> {
        let mut script = IS_THERE.prepare_invoke();
        self.keys(&mut script, period, board).arg(version);
        self.redis.script::<bool>("board_version", &script).await
    }

    /// Sets the board to these places, which are all that it has, in the order of their ranks.
    pub async fn set(
        &self,
        period: Period,
        board: Board,
        version: i64,
        places: &[Place],
    ) -> Result<(), RedisError> {
        let exact = |place: &Place| (-SCORE_MAX..=SCORE_MAX).contains(&place.score) && place.product >= 0;
        if !places.iter().all(exact) {
            return Ok(());
        }
        let name: String =
            self.redis.script("name_board", &NAME.key(self.redis.key("board-names", "next"))).await?;
        let written =
            ["board", "previous"].map(|part| self.redis.key("board-new", format_args!("{name}:{part}")));
        let kept_ms = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
        for part in places.chunks(WRITE_MAX) {
            let (mut scores, mut previous) = (cmd("ZADD"), cmd("HSET"));
            scores.arg(&written[0]);
            previous.arg(&written[1]);
            let mut followed = false;
            for place in part {
                let Some(product) = member(place.product) else { continue };
                scores.arg(-place.score).arg(&product);
                if let Some(rank) = place.previous_rank {
                    previous.arg(&product).arg(rank);
                    followed = true;
                }
            }
            let mut write = pipe();
            write.add_command(scores).ignore();
            if followed {
                write.add_command(previous).ignore();
            }
            for key in &written {
                write.cmd("PEXPIRE").arg(key).arg(kept_ms).ignore();
            }
            self.redis.run_all::<()>("write_board", &write).await?;
        }
        let mut put = PUT.prepare_invoke();
        self.keys(&mut put, period, board).key(&written[0]).key(&written[1]);
        let followed = places.iter().filter(|place| place.previous_rank.is_some()).count();
        put.arg(version).arg(places.len()).arg(followed).arg(kept_ms);
        self.redis.script::<u8>("put_board", &put).await.map(drop)
    }

    fn keys<'a, 'b>(
        &self,
        script: &'b mut ScriptInvocation<'a>,
        period: Period,
        board: Board,
    ) -> &'b mut ScriptInvocation<'a> {
        ["board", "previous", "about"]
            .into_iter()
            .fold(script, |script, part| script.key(self.key(period, board, part)))
    }

    fn key(&self, period: Period, board: Board, part: &str) -> String {
        self.redis.key("board", format_args!("{period}:{}:{part}", board.name()))
    }
}

/// A product as a member: of one length, so that among equal scores the order of texts is that of numbers.
fn member(product: i64) -> Option<String> {
    (product >= 0).then(|| format!("{product:019}"))
}

fn place(product: i64, (rank, score, previous_rank): Told) -> Option<Place> {
    let rank = i64::try_from(rank?).ok()? + 1;
    let score: i64 = score?.parse().ok()?;
    Some(Place { product, rank, score: -score, previous_rank })
}

#[cfg(test)]
mod tests {
    use commerce_redis::RedisOptions;
    use commerce_servers::{ServerKind, shared};

    use super::*;

    fn boards() -> SharedBoards {
        let prefix = format!("boards-unit-{}", std::process::id());
        let options = RedisOptions { prefix, ..RedisOptions::new(shared(ServerKind::Redis).url()) };
        SharedBoards::new(Redis::open(&options).unwrap())
    }

    #[tokio::test]
    async fn a_lower_version_is_ignored_and_the_same_one_sets_again() {
        let boards = boards();
        let (period, board) = (Period::day("2026-11-23".parse().unwrap()), Board::View);
        let first = |score| [Place { product: 1, rank: 1, score, previous_rank: None }];
        for (version, score, shown) in [(7, 70, 70), (3, 30, 70), (7, 71, 71), (8, 80, 80), (7, 72, 80)] {
            boards.set(period, board, version, &first(score)).await.unwrap();
            let (places, total) = boards.page((period, board), 0, 0, 10).await.unwrap();
            assert_eq!((places[0].score, total), (shown, 1), "{version}");
        }
        assert!(boards.has(period, board, 8).await.unwrap() && !boards.has(period, board, 9).await.unwrap());
        assert!(
            boards.page((period, board), 9, 0, 10).await.is_none(),
            "too old for who knows of a later one"
        );
    }
}
