//! A manifest that was read again takes the place of the one before.

use super::Presentation;

/// Period, set and representation by position.
pub type Position = (usize, usize, usize);

/// What [`Presentation::update`] did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Why the new manifest was not taken; the old one stands.
    pub refused: Option<&'static str>,
    /// The source began anew: media times or numbers went back, so that segments at the same place may be others.
    pub restarted: bool,
    /// Where each representation of before is now. Those that are not in it are gone.
    pub moved: Vec<(Position, Position)>,
    /// Warnings that were not told before.
    pub warnings: Vec<String>,
}

impl Update {
    /// Where the representation at an old position is now. `None`: it is gone.
    pub fn map(&self, old: Position) -> Option<Position> {
        self.moved.iter().find(|m| m.0 == old).map(|m| m.1)
    }
}

impl Presentation {
    /// Takes over a manifest that was read again.
    pub fn update(&mut self, new: Presentation) -> Update {
        let _ = new;
        Update::default()
    }
}
