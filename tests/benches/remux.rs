//! A file to fragmented MP4 as a whole process, to be timed from outside beside `ffmpeg -c copy` (`npm run bench -- remux`).
//!
//! `remux FILE`: reads the file in pieces as a network reader gives them, and writes to standard output.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use millrace::container::{Demuxer, TrackId, open, sniff};
use millrace::remux::Muxer;

/// Bytes of a piece.
const CHUNK: usize = 64 << 10;

fn main() -> ExitCode {
    // Cargo adds an argument of its own.
    let Some(path) = std::env::args().skip(1).find(|a| !a.starts_with('-')) else {
        println!("remux: needs a file; npm run bench -- remux runs it");
        return ExitCode::SUCCESS;
    };
    match rewrite(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{path}: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn rewrite(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut file = std::fs::File::open(path)?;
    // Without the search for ends of lines that standard output makes.
    let mut out = std::fs::File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let mut chunk = vec![0; CHUNK];
    let mut muxer = Muxer::new();
    let mut demuxer: Option<Box<dyn Demuxer>> = None;
    let mut begun: Vec<TrackId> = Vec::new();
    loop {
        let read = file.read(&mut chunk)?;
        let data = &chunk[..read];
        let reader = match &mut demuxer {
            Some(reader) => reader,
            None => demuxer.insert(sniff(data).and_then(open).ok_or("no container that is known")?),
        };
        if read == 0 {
            reader.finish(&mut muxer)?;
        } else {
            reader.push(data, &mut muxer)?;
        }
        let tracks: Vec<TrackId> = muxer.tracks().iter().map(|t| t.id).collect();
        for track in tracks {
            while let Some(fragment) = muxer.take_fragment(track, read == 0) {
                if !begun.contains(&track) {
                    begun.push(track);
                    out.write_all(&muxer.init_segment(track).ok_or("a track that MP4 does not carry")?)?;
                }
                out.write_all(fragment.bytes())?;
            }
        }
        if read == 0 {
            return Ok(());
        }
    }
}
