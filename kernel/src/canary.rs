//! The word that is written into a frame.

/// The content of a frame: one word, so that it is read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Brand of the owner; 0 for nobody.
    pub owner: u16,
    /// Page of the owner that it is meant for.
    pub page: u8,
    /// Number of the frame.
    pub frame: u16,
    /// When it was given out or back: counts all such events.
    pub epoch: u32,
}

impl Canary {
    /// Owners are below this.
    pub const OWNERS: u16 = 1 << 12;
    const EPOCHS: u32 = 1 << 28;

    /// The word.
    pub fn pack(self) -> u64 {
        let owner = u64::from(self.owner % Self::OWNERS) << 52;
        let (page, frame) = (u64::from(self.page) << 44, u64::from(self.frame) << 28);
        owner | page | frame | u64::from(self.epoch % Self::EPOCHS)
    }

    /// Reads the word back.
    pub fn unpack(word: u64) -> Self {
        Self {
            owner: (word >> 52) as u16,
            page: (word >> 44) as u8,
            frame: (word >> 28) as u16,
            epoch: word as u32 % Self::EPOCHS,
        }
    }
}
