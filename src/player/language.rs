//! Languages as manifests, files and users name them.

/// ISO 639-1 codes, each with those of ISO 639-2 for the same language: MP4, Matroska and MPEG-TS use these, and ffmpeg in HLS too.
const CODES: &str = "ar ara,bg bul,ca cat,cs ces cze,cy cym wel,da dan,de deu ger,el ell gre,en eng,es spa,et est,eu eus baq,fa fas per,\
fi fin,fr fra fre,he heb,hi hin,hr hrv,hu hun,id ind,is isl ice,it ita,ja jpn,ko kor,lt lit,lv lav,ms msa may,nl nld dut,no nor nob nno,\
pl pol,pt por,ro ron rum,ru rus,sk slk slo,sl slv,sr srp,sv swe,th tha,tr tur,uk ukr,vi vie,zh zho chi";

/// Whether `en` asks for `en-GB` and the like (RFC 4647 §3.3.1 basic filtering, either way round), or for `eng`.
pub(super) fn same_language(a: &str, b: &str) -> bool {
    let primary = |s: &str| s.split('-').next().unwrap_or(s).to_ascii_lowercase();
    let (a, b) = (primary(a), primary(b));
    let all = |names: &str| [&a, &b].iter().all(|code| names.split(' ').any(|name| name == code.as_str()));
    a == b || CODES.split(',').any(all)
}

#[cfg(test)]
mod tests {
    use super::same_language;

    #[test]
    fn regions_and_longer_codes_are_of_the_same_language() {
        for (a, b) in [("en", "EN-gb"), ("en-US", "eng"), ("ger", "de"), ("deu", "ger"), ("tlh", "tlh-Latn")]
        {
            assert!(same_language(a, b) && same_language(b, a), "{a} {b}");
        }
        for (a, b) in [("es", "est"), ("en", "de"), ("", "en"), ("e", "eng")] {
            assert!(!same_language(a, b) && !same_language(b, a), "{a} {b}");
        }
    }
}
