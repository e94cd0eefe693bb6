//! Programs of a transport stream: which ones there are, and which one is played.

use super::psi::{Pat, Pmt, SectionReader};
use super::stream::Kind;

/// Programs of which the PMT is looked at; more are passed over.
const MAX_PROGRAMS: usize = 32;

/// One entry of the PAT.
#[derive(Debug)]
struct Program {
    number: u16,
    pid: u16,
    pmt: Option<Pmt>,
}

/// Reads PAT and PMTs.
#[derive(Debug, Default)]
pub(super) struct Programs {
    pat: SectionReader,
    programs: Vec<Program>,
    readers: Vec<(u16, SectionReader)>,
    /// `program_number` of the one that is played.
    chosen: Option<u16>,
}

/// PIDs of PMTs that are new, and that are no longer such.
type Changes = (Vec<u16>, Vec<u16>);

impl Programs {
    /// Forgets sections in progress.
    pub fn reset(&mut self) {
        self.pat.reset();
        for (_, reader) in &mut self.readers {
            reader.reset();
        }
    }

    /// Takes the payload of a packet of the PAT.
    pub fn pat(&mut self, unit_start: bool, payload: &[u8]) -> Result<Changes, &'static str> {
        let mut changes = (Vec::new(), Vec::new());
        let Self { pat, programs, readers, chosen } = self;
        let result = pat.push(unit_start, payload, &mut |section| {
            let Some(pat) = Pat::parse(section) else { return };
            // Whatever its version: many multiplexers never change that, and streams of several of them are joined. What one of
            // several sections does not name another one may.
            programs.retain(|p| match pat.programs.iter().find(|(number, _)| *number == p.number) {
                Some((_, pid)) => *pid == p.pid,
                None => pat.last_number > 0,
            });
            for &(number, pid) in &pat.programs {
                let usable = (0x10..0x1fff).contains(&pid) && programs.len() < MAX_PROGRAMS;
                if usable && !programs.iter().any(|p| p.number == number) {
                    programs.push(Program { number, pid, pmt: None });
                }
            }
            // The one that is played goes on under another PID too.
            *chosen = chosen.filter(|number| programs.iter().any(|p| p.number == *number));
            // Once one is played the PMTs of the others are of no interest.
            let wanted = |pid: u16| {
                programs.iter().any(|p| p.pid == pid && chosen.is_none_or(|number| number == p.number))
            };
            changes.1.extend(readers.iter().map(|(pid, _)| *pid).filter(|&pid| !wanted(pid)));
            readers.retain(|(pid, _)| wanted(*pid));
            for program in programs.iter().filter(|p| wanted(p.pid)) {
                if !readers.iter().any(|(pid, _)| *pid == program.pid) {
                    readers.push((program.pid, SectionReader::default()));
                    changes.0.push(program.pid);
                }
            }
        });
        result.map(|()| changes)
    }

    /// Takes the payload of a packet of a PMT. Gives the PMT of the program that is to be played, if that has come.
    pub fn pmt(&mut self, pid: u16, unit_start: bool, payload: &[u8]) -> Result<Option<Pmt>, &'static str> {
        let Some((_, reader)) = self.readers.iter_mut().find(|(p, _)| *p == pid) else { return Ok(None) };
        let mut found = Vec::new();
        let result = reader.push(unit_start, payload, &mut |section| found.extend(Pmt::parse(section)));
        let mut out = None;
        for pmt in found {
            out = self.take(pid, pmt).or(out);
        }
        result.map(|()| out)
    }

    fn take(&mut self, pid: u16, pmt: Pmt) -> Option<Pmt> {
        let number = pmt.program;
        let of_pid = |p: &Program| p.pid == pid;
        // Some multiplexers number the PMT differently.
        let at = self.programs.iter().position(|p| of_pid(p) && p.number == number).or_else(|| {
            self.programs
                .iter()
                .position(of_pid)
                .filter(|_| self.programs.iter().filter(|p| of_pid(p)).count() == 1)
        })?;
        let number = self.programs[at].number;
        if let Some(chosen) = self.chosen {
            return (chosen == number).then_some(pmt);
        }
        let again = self.programs[at].pmt.replace(pmt).is_some();
        self.choose(again)
    }

    /// Decides, if it can be: on the first program with video and audio if those before it are known, and where there is none, or
    /// the PMTs repeat (`last`), on the first that has either.
    fn choose(&mut self, last: bool) -> Option<Pmt> {
        let has = |pmt: &Pmt, audio: bool| {
            pmt.streams.iter().map(Kind::of).any(|kind| if audio { kind.is_audio() } else { kind.is_video() })
        };
        let mut fallback = None;
        let mut waits = false;
        for program in &self.programs {
            let Some(pmt) = &program.pmt else {
                if !last {
                    waits = true;
                }
                continue;
            };
            let (video, audio) = (has(pmt, false), has(pmt, true));
            if video && audio && !waits {
                fallback = Some(program);
                break;
            }
            if fallback.is_none() && (video || audio || self.programs.len() == 1) {
                fallback = Some(program);
            }
        }
        let program = fallback.filter(|_| !waits)?;
        self.chosen = Some(program.number);
        program.pmt.clone()
    }

    /// No more PMTs come: decides on what is known.
    pub fn settle(&mut self) -> Option<Pmt> {
        if self.chosen.is_some() {
            return None;
        }
        self.choose(true).or_else(|| {
            // Nothing to play: as good as any.
            let program = self.programs.iter().find(|p| p.pmt.is_some())?;
            self.chosen = Some(program.number);
            program.pmt.clone()
        })
    }
}
