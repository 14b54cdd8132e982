/// What a board ranks by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Board {
    /// Views, likes and orders, weighted; scores in tenths.
    All,
    /// Likes added less likes removed.
    Like,
    /// Views.
    View,
    /// Paid orders that contain the product.
    Order,
}

impl Board {
    /// Every board.
    pub const ALL: [Self; 4] = [Self::All, Self::Like, Self::View, Self::Order];

    /// The name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::Like => "LIKE",
            Self::View => "VIEW",
            Self::Order => "ORDER",
        }
    }

    /// The board of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|board| board.name() == name)
    }
}
