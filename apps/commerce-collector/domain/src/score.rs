use crate::Metrics;

/// What a view, a like and an order are worth on the board of everything, in whole tenths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// Of a view.
    pub view: i64,
    /// Of a like.
    pub like: i64,
    /// Of a paid order that contains the product.
    pub order: i64,
}

impl Weights {
    /// The largest weight: a board's scores then stay within 64 bits.
    pub const MAX: i64 = 1_000_000;

    /// The score in tenths.
    pub fn score(&self, metrics: &Metrics) -> i64 {
        let part = |weight: i64, count: i64| weight.saturating_mul(count);
        part(self.like, metrics.likes)
            .saturating_add(part(self.view, metrics.views))
            .saturating_add(part(self.order, metrics.orders))
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self { view: 1, like: 2, order: 6 }
    }
}

/// A product's place on a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// 1 for the first.
    pub rank: i64,
    /// The product.
    pub product: i64,
    /// Its score.
    pub score: i64,
}

/// The board of these products and scores: only scores above 0, the highest first, ties by product id.
pub fn standings(scores: impl IntoIterator<Item = (i64, i64)>) -> Vec<Standing> {
    let mut scores: Vec<_> = scores.into_iter().filter(|(_, score)| *score > 0).collect();
    scores.sort_unstable_by_key(|(product, score)| (std::cmp::Reverse(*score), *product));
    let standing = |(rank, (product, score))| Standing { rank, product, score };
    (1..).zip(scores).map(standing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_like_weighs_two_views_and_an_order_six() {
        let metrics = Metrics { views: 3, likes: 2, orders: 1, quantity: 9, amount: 90 };
        assert_eq!(Weights::default().score(&metrics), 3 + 4 + 6);
        let lost = Metrics { views: 1, likes: -3, ..Metrics::ZERO };
        assert_eq!(Weights::default().score(&lost), -5);
    }

    #[test]
    fn the_highest_score_is_first_and_ties_go_by_id() {
        let board = standings([(9, 5), (4, 0), (2, 5), (7, 8), (1, -3)]);
        let found: Vec<_> = board.iter().map(|s| (s.rank, s.product, s.score)).collect();
        assert_eq!(found, [(1, 7, 8), (2, 2, 5), (3, 9, 5)]);
    }
}
