//! TLBI instructions, one after the other.

use crate::encode::{Asid, Chunk, Chunks, Ttl, by_address, by_asid};
use shootdown::flush::{Levels, Pages, VirtAddr};

/// A TLBI, by its name without the suffix for its reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// VAE1: address and ASID, all levels.
    Va,
    /// VALE1: address and ASID, the leaf.
    VaLeaf,
    /// VAAE1: address under all ASIDs, all levels.
    VaAll,
    /// VAALE1: address under all ASIDs, the leaf.
    VaAllLeaf,
    /// RVAE1: range and ASID, all levels.
    Range,
    /// RVALE1: range and ASID, leaves.
    RangeLeaf,
    /// RVAAE1: range under all ASIDs, all levels.
    RangeAll,
    /// RVAALE1: range under all ASIDs, leaves.
    RangeAllLeaf,
    /// ASIDE1: everything under an ASID.
    Asid,
    /// VMALLE1: everything.
    All,
}

/// One TLBI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlbi {
    /// Which.
    pub form: Form,
    /// Its operand; 0 for [`Form::All`], which has none.
    pub operand: u64,
}

/// Whose translations go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Those of one ASID.
    One(Asid),
    /// Those of all, global ones included.
    All,
}

/// TLBI instructions that carry a request out, between two barriers.
#[derive(Clone, Copy, Debug)]
pub struct Ops {
    left: Left,
    owner: Owner,
    levels: Levels,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Left {
    Pages(Pages),
    Chunks(Chunks),
    Whole,
    Nothing,
}

impl Ops {
    pub(crate) const fn new(left: Left, owner: Owner, levels: Levels) -> Self {
        Self { left, owner, levels }
    }

    pub(crate) const fn whole(owner: Owner) -> Self {
        Self { left: Left::Whole, owner, levels: Levels::All }
    }

    pub(crate) const fn none() -> Self {
        Self { left: Left::Nothing, owner: Owner::All, levels: Levels::Leaf }
    }

    #[inline]
    fn by_page(&self, page: VirtAddr) -> Tlbi {
        let form = match (self.owner, self.levels) {
            (Owner::One(_), Levels::All) => Form::Va,
            (Owner::One(_), Levels::Leaf) => Form::VaLeaf,
            (Owner::All, Levels::All) => Form::VaAll,
            (Owner::All, Levels::Leaf) => Form::VaAllLeaf,
        };
        Tlbi { form, operand: by_address(page, self.asid(), Ttl::ANY) }
    }

    fn by_range(&self, operand: u64) -> Tlbi {
        let form = match (self.owner, self.levels) {
            (Owner::One(_), Levels::All) => Form::Range,
            (Owner::One(_), Levels::Leaf) => Form::RangeLeaf,
            (Owner::All, Levels::All) => Form::RangeAll,
            (Owner::All, Levels::Leaf) => Form::RangeAllLeaf,
        };
        Tlbi { form, operand }
    }

    const fn asid(&self) -> Asid {
        match self.owner {
            Owner::One(asid) => asid,
            Owner::All => Asid::SHARED,
        }
    }
}

impl Iterator for Ops {
    type Item = Tlbi;

    #[inline]
    fn next(&mut self) -> Option<Tlbi> {
        match &mut self.left {
            Left::Pages(pages) => {
                let page = pages.next()?;
                Some(self.by_page(page))
            }
            Left::Chunks(chunks) => match chunks.next()? {
                Chunk::Range(operand) => Some(self.by_range(operand)),
                Chunk::Page(page) => Some(self.by_page(page)),
            },
            Left::Whole => {
                self.left = Left::Nothing;
                Some(match self.owner {
                    Owner::One(asid) => Tlbi { form: Form::Asid, operand: by_asid(asid) },
                    Owner::All => Tlbi { form: Form::All, operand: 0 },
                })
            }
            Left::Nothing => None,
        }
    }
    /// One loop for each kind, rather than one loop that looks at the kind each time.
    #[inline]
    fn fold<B, F: FnMut(B, Tlbi) -> B>(self, init: B, mut f: F) -> B {
        match self.left {
            Left::Pages(pages) => pages.fold(init, |done, page| f(done, self.by_page(page))),
            Left::Chunks(chunks) => chunks.fold(init, |done, chunk| {
                f(
                    done,
                    match chunk {
                        Chunk::Range(operand) => self.by_range(operand),
                        Chunk::Page(page) => self.by_page(page),
                    },
                )
            }),
            Left::Whole | Left::Nothing => {
                let mut whole = self;
                match whole.next() {
                    Some(op) => f(init, op),
                    None => init,
                }
            }
        }
    }
}
