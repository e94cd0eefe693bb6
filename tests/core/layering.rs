//! Dependencies point one way. This reads the `use` lines and paths of every source file and fails on an upward or sideways edge.

use std::path::{Path, PathBuf};

/// What each part may use of the crate. Parts below one that is listed with a deeper path are siblings: only that path may be used.
const ALLOWED: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("error", &[]),
    ("bytes", &[]),
    ("codec", &["time", "error", "bytes"]),
    ("container/mp4", &["time", "error", "bytes", "codec", "container"]),
    ("container/flac", &["time", "error", "bytes", "codec", "container"]),
    ("container/flv", &["time", "error", "bytes", "codec", "container"]),
    ("container/ogg", &["time", "error", "bytes", "codec", "container"]),
    ("container/packed", &["time", "error", "bytes", "codec", "container"]),
    ("container/ts", &["time", "error", "bytes", "codec", "container"]),
    ("container/webm", &["time", "error", "bytes", "codec", "container"]),
    ("container", &["time", "error", "bytes", "codec"]),
    ("remux", &["time", "error", "bytes", "codec", "container"]),
    ("manifest/dash", &["time", "error", "bytes", "manifest"]),
    ("manifest/hls", &["time", "error", "bytes", "manifest"]),
    ("manifest", &["time", "error", "bytes"]),
    ("abr", &["time", "error", "bytes", "manifest"]),
    ("player", &["time", "error", "bytes", "codec", "container", "remux", "manifest", "abr"]),
    ("log", &["time", "error", "bytes", "manifest", "player"]),
    ("sim", &["time", "error", "bytes", "codec", "container", "remux", "manifest", "player"]),
];

/// Formats and protocols that must not know each other.
const SIBLINGS: &[&str] = &[
    "container::mp4",
    "container::packed",
    "container::ts",
    "container::webm",
    "manifest::dash",
    "manifest::hls",
    "container::flac",
    "container::flv",
    "container::ogg",
];

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The code of a file without its tests and comments.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().enumerate();
    lines
        .take_while(|(_, l)| l.trim() != "#[cfg(test)]")
        .filter(|(_, l)| !l.trim_start().starts_with("//"))
        .map(|(n, l)| (n + 1, l.to_owned()))
        .collect()
}

#[test]
fn no_layer_uses_one_above_it_or_beside_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    let mut edges = 0;
    for file in &files {
        let name = file.strip_prefix(&src).unwrap().with_extension("").to_string_lossy().replace('\\', "/");
        let Some((part, allowed)) =
            ALLOWED.iter().find(|(part, _)| name == *part || name.starts_with(&format!("{part}/")))
        else {
            continue;
        };
        for (line, text) in code(file) {
            for (at, _) in text.match_indices("crate::") {
                let path = &text[at + "crate::".len()..];
                let first: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let own = part.split('/').next().unwrap();
                edges += 1;
                let sideways = SIBLINGS
                    .iter()
                    .any(|s| path.starts_with(s) && part.contains('/') && s.replace("::", "/") != *part);
                if sideways || (first != own && !allowed.contains(&first.as_str())) {
                    wrong.push(format!("src/{name}.rs:{line} ({part}): crate::{path}"));
                }
            }
        }
    }
    assert!(edges > 50, "the test reads something: {edges}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_web_shell_knows_the_browser() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    for file in files.iter().filter(|f| !f.starts_with(src.join("web"))) {
        for (line, text) in code(file) {
            for name in ["web_sys", "js_sys", "wasm_bindgen", "gloo_timers", "JsValue"] {
                assert!(!text.contains(name), "{}:{line}: {name}", file.display());
            }
        }
    }
}
