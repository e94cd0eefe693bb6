//! Manifests that are none, codecs that no browser has, URLs that no browser fetches.

use super::*;
use crate::sim::site::Site;
use millrace::error::PlayerError;

fn error_of(site: Site, url: &str) -> PlayerError {
    let mut w = World::new(site);
    w.load(url);
    let error = w.run_to_error(60.0);
    let told = w.count(|e| matches!(e, Event::Error(e) if e.severity == millrace::error::Severity::Fatal));
    assert_eq!(told, 1, "{}", w.story());
    // After an error another load works.
    w.net.site = Stream::simple(8.0).dash(Addressing::Number);
    w.load(MPD);
    w.play_to_end(20.0);
    w.assert_played_all('v', &[200]);
    error
}

fn served(url: &str, content_type: &'static str, body: &[u8]) -> PlayerError {
    let mut site = Site::default();
    site.put(url, content_type, body.to_vec());
    error_of(site, url)
}

#[test]
fn urls_that_no_browser_fetches() {
    for (url, code) in [
        ("rtmp://media.test/live", Code::UrlScheme),
        ("rtsp://media.test/live", Code::UrlScheme),
        ("file:///movie.mpd", Code::UrlScheme),
        ("ftp://media.test/x.mpd", Code::UrlScheme),
        ("not a url", Code::UrlInvalid),
        ("", Code::UrlInvalid),
    ] {
        let error = error_of(Site::default(), url);
        assert_eq!(error.code, code, "{url}");
        assert_eq!(error.url.as_deref(), Some(url));
    }
}

#[test]
fn a_missing_manifest_is_a_client_error() {
    let error = error_of(Site::default(), MPD);
    assert_eq!((error.code, error.status, error.url.as_deref()), (Code::HttpClient, Some(404), Some(MPD)));
}

#[test]
fn what_is_no_manifest_is_an_unknown_format() {
    let html = b"<!doctype html><html><head><title>Welcome</title></head><body>Hello</body></html>";
    for (type_, body) in [
        ("text/html", &html[..]),
        ("application/json", b"{\"error\": \"no such stream\"}"),
        ("text/plain", b"hello"),
    ] {
        let error = served("https://media.test/stream", type_, body);
        assert_eq!(error.code, Code::FormatUnknown, "{error:?}");
    }
}

#[test]
fn empty_responses_and_empty_playlists() {
    assert_eq!(served(MPD, "application/dash+xml", b"").code, Code::ManifestEmpty);
    assert_eq!(served(M3U8, "text/plain", b"  \n ").code, Code::ManifestEmpty);
    assert_eq!(served(M3U8, "text/plain", b"#EXTM3U\n").code, Code::ManifestEmpty);
    assert_eq!(
        served(M3U8, "text/plain", b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-ENDLIST\n").code,
        Code::ManifestEmpty
    );
    let mpd =
        b"<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" mediaPresentationDuration=\"PT10S\"><Period/></MPD>";
    assert_eq!(served(MPD, "application/dash+xml", mpd).code, Code::ManifestEmpty);
}

#[test]
fn manifests_cut_anywhere_end_in_an_error_or_in_playback() {
    for (url, site) in [
        (MPD, Stream::of(12.0).dash(Addressing::Time)),
        (M3U8, Stream::of(12.0).hls(Container::Ts)),
        ("https://media.test/v0.m3u8", Stream::of(12.0).hls(Container::Ts)),
    ] {
        let text = site.text(url);
        for cut in (0..text.len()).step_by(7) {
            let mut site = site.clone();
            let content_type = site.get(url).unwrap().0;
            site.put(url, content_type, text.as_bytes()[..cut].to_vec());
            let mut w = World::new(site);
            w.load(url);
            let settled = w.run_until(60.0, |w| w.fatal().is_some() || w.has_ended());
            assert!(settled, "cut at {cut}\n{}", w.story());
        }
    }
}

#[test]
fn a_broken_media_playlist_falls_back_to_another_rung() {
    for body in [&b"<html>"[..], b"#EXTM3U\n#EXT-X-ENDLIST\n", b"", b"#EXTM3U\n#EXTINF:x,\n#EXT-X-MAP:\n"] {
        let mut site = Stream::of(20.0).hls(Container::Ts);
        site.put("https://media.test/v1.m3u8", "text/plain", body);
        site.put("https://media.test/v2.m3u8", "text/plain", body);
        let mut w = World::new(site);
        w.load(M3U8);
        w.play_to_end(40.0);
        w.assert_played_all('v', &[500]);
        assert!(w.played('v').iter().all(|m| m.rung == 0));
    }
}

#[test]
fn files_that_cannot_be_read_are_told_by_their_format() {
    let wav = [b"RIFF\0\0\0\0WAVEfmt ".as_slice(), &[0; 2000]].concat();
    let url = "https://media.test/sound.wav";
    let mut site = crate::sim::site::Site::default();
    site.put(url, "audio/wav", wav);
    let mut w = World::new(site);
    w.load(url);
    w.run_for(2.0);
    // The element itself may be able to.
    let told = w.events.iter().find_map(|t| match &t.event {
        Event::LastResort { error, .. } => Some(error.clone()),
        _ => None,
    });
    let error = told.expect("a last resort");
    assert_eq!(error.code, Code::FormatUnsupported);
    assert!(error.message.contains("wav"));
}

#[test]
fn the_content_decides_and_not_the_extension() {
    let mut site = Stream::simple(8.0).dash(Addressing::Number);
    let text = site.text(MPD);
    site.put("https://media.test/play.m3u8", "text/plain", text);
    let mut w = World::new(site);
    w.load("https://media.test/play.m3u8");
    w.play_to_end(20.0);
    assert_eq!(w.count(|e| matches!(e, Event::Loaded { protocol: "dash", .. })), 1);
}

#[test]
fn a_codec_that_the_browser_lacks_leaves_the_other_representations() {
    let mut site = Stream::of(20.0).dash(Addressing::Number);
    let text = site.text(MPD).replacen(
        "id=\"v2\" bandwidth=\"2000000\" codecs=\"avc1.64001f\"",
        "id=\"v2\" bandwidth=\"2000000\" codecs=\"hvc1.1.6.L93.B0\"",
        1,
    );
    site.put(MPD, "application/dash+xml", text);
    let mut w = World::new(site);
    w.unsupported = vec!["hvc1"];
    w.load(MPD);
    w.play_to_end(30.0);
    w.assert_played_all('v', &[500]);
    assert!(w.played('v').iter().all(|m| m.rung < 2));
    assert!(w.requests().iter().all(|r| !r.url.contains("/v2/")));
    let told = w.events.iter().find_map(|t| match &t.event {
        Event::Tracks { qualities, .. } => Some(qualities.len()),
        _ => None,
    });
    assert_eq!(told, Some(2));
}

#[test]
fn no_codec_that_the_browser_has_is_one_error_that_names_them() {
    for (url, site) in
        [(MPD, Stream::of(20.0).dash(Addressing::Number)), (M3U8, Stream::of(20.0).hls(Container::Fmp4))]
    {
        let mut w = World::new(site);
        w.unsupported = vec!["avc1", "mp4a"];
        w.load(url);
        let error = w.run_to_error(10.0);
        assert_eq!(error.code, Code::CodecUnsupported);
        assert!(error.message.contains("avc1"), "{error:?}");
        assert_eq!(w.errors().len(), 1);
    }
}

#[test]
fn sound_that_the_browser_lacks_leaves_the_pictures() {
    let mut w = World::new(Stream::of(20.0).dash(Addressing::Number));
    w.unsupported = vec!["mp4a"];
    w.load(MPD);
    w.play_to_end(30.0);
    w.assert_played_all('v', &[500]);
}

#[test]
fn a_manifest_that_names_another_codec_than_the_media_plays() {
    // The init segment tells the truth.
    let mut site = Stream::simple(12.0).dash(Addressing::Number);
    site.edit(MPD, "avc1.64001f", "avc1.42e00a");
    let mut w = World::new(site);
    w.load(MPD);
    w.play_to_end(30.0);
    w.assert_played_all('v', &[300]);
}

#[test]
fn a_codec_named_without_its_profile_is_left_to_the_media() {
    // As GStreamer's dashsink writes it; no engine takes such a name.
    let mut site = Stream::simple(12.0).dash(Addressing::Number);
    site.edit(MPD, "\"avc1.64001f\"", "\"avc1\"");
    site.edit(MPD, "\"mp4a.40.2\"", "\"mp4a\"");
    let mut w = World::new(site);
    w.unsupported = vec!["\"avc1\"", "\"mp4a\""];
    w.load(MPD);
    w.play_to_end(30.0);
    w.assert_played_all('v', &[300]);
}

#[test]
fn media_that_begins_elsewhere_than_the_manifest_says_lies_where_its_segments_do() {
    let mut stream = Stream::simple(12.0);
    stream.parts[0].base = 3600.0;
    let mut site = stream.dash(Addressing::Number);
    site.edit(MPD, "presentationTimeOffset", "x-presentationTimeOffset");
    let mut w = World::new(site);
    w.load(MPD);
    w.play_to_end(30.0);
    w.assert_played_all('v', &[300]);
    assert!((w.element.position - 12.0).abs() < 0.1);
}

#[test]
fn a_manifest_without_codecs_plays_what_the_media_says() {
    let mut site = Stream::of(12.0).hls(Container::Ts);
    site.edit(M3U8, ",CODECS=\"avc1.64001f,mp4a.40.2\"", "");
    let mut w = World::new(site);
    w.load(M3U8);
    w.play_to_end(30.0);
    w.assert_played_all('v', &[300]);
    w.assert_played_all('a', &[563]);
}

#[test]
fn encrypted_segments_are_told_of() {
    let mut site = Stream::of(12.0).hls(Container::Ts);
    for rung in 0..3 {
        let url = format!("https://media.test/v{rung}.m3u8");
        site.edit(&url, "#EXT-X-PLAYLIST-TYPE:VOD\n", "#EXT-X-KEY:METHOD=AES-128,URI=\"key\"\n");
    }
    let error = error_of(site, M3U8);
    assert_eq!(error.code, Code::Encrypted);
}

#[test]
fn the_type_can_be_said() {
    let mut site = Stream::simple(8.0).dash(Addressing::Number);
    let text = site.text(MPD);
    site.put("https://media.test/x", "text/plain", text);
    let mut w = World::new(site);
    for (kind, works) in [("dash", true), ("application/dash+xml", true), ("hls", false), ("smooth", false)] {
        w.load_with(LoadRequest {
            url: "https://media.test/x".into(),
            kind: Some(kind.into()),
            ..LoadRequest::default()
        });
        if works {
            w.play_to_end(20.0);
        } else {
            let before = w.events.len();
            assert!(w.run_until(20.0, |w| w.events.len() > before), "{kind}\n{}", w.story());
            assert!(w.fatal().is_some(), "{kind}\n{}", w.story());
        }
    }
}
