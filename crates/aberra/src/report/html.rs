//! The self-contained page: the built web page with a report's data put in.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use include_flate::flate;

use super::ReportData;

// The page as `web/` builds it, one file that fetches nothing; compressed in the program.
flate!(static PAGE: str from "../../web/dist/report.html");

/// Where the data go.
const MARKER: &str = "<!--aberra-report-->";

/// Data above it are compressed. Below it they can be read in the page's source.
const PLAIN_BYTES: usize = 256 << 10;

/// The page that shows `data`.
pub(super) fn page(data: &ReportData) -> String {
    // Serialising to memory fails for maps whose keys are not text alone, and there are none.
    PAGE.replacen(MARKER, &element(&serde_json::to_string(data).unwrap_or_default()), 1)
}

/// The element that holds a report's JSON: as it is with `<` escaped, so that no name in it can end the element or begin
/// another; or compressed, in letters that have no meaning in HTML.
fn element(json: &str) -> String {
    if json.len() <= PLAIN_BYTES {
        let escaped = json.replace('<', "\\u003c");
        return format!("<script type=\"application/json\" id=\"aberra-report\">{escaped}</script>");
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    // Writing to memory does not fail.
    let packed = encoder.write_all(json.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
    format!("<script type=\"application/gzip\" id=\"aberra-report\">{}</script>", STANDARD.encode(packed))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const HOSTILE: &str = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>&lt;\u{2028}'\"";

    /// What a browser finds in the element.
    fn content(page: &str) -> (&str, &str) {
        let start = page.find("id=\"aberra-report\">").expect("the element") + "id=\"aberra-report\">".len();
        let kind = if page[..start].ends_with("gzip\" id=\"aberra-report\">") { "gzip" } else { "json" };
        (kind, &page[start..start + page[start..].find("</script>").expect("its end")])
    }

    #[test]
    fn the_page_has_one_place_for_data_and_fetches_nothing() {
        assert_eq!(PAGE.matches(MARKER).count(), 1);
        for fetching in ["<script src=", "<link rel=\"stylesheet\"", "@import", "src=\"http"] {
            assert!(!PAGE.contains(fetching), "{fetching}");
        }
    }

    #[test]
    fn a_hostile_name_stays_a_name() {
        let mut report = super::super::example::report();
        report.images[0].name = HOSTILE.to_owned();
        report.images[0].kind = Some(HOSTILE.to_owned());
        report.detector.name = HOSTILE.to_owned();
        let made = page(&report);
        let (kind, text) = content(&made);
        assert!(kind == "json" && !text.contains('<'), "{text}");
        let read: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(read, serde_json::to_value(&report).unwrap());
        // Beside the element, the page is what it was.
        assert_eq!(
            made.len() - element(&serde_json::to_string(&report).unwrap()).len(),
            PAGE.len() - MARKER.len()
        );
    }

    #[test]
    fn large_data_are_packed_and_come_back() {
        let mut report = super::super::example::report();
        report.summary = vec![HOSTILE.repeat(PLAIN_BYTES / 50)];
        let made = page(&report);
        let (kind, text) = content(&made);
        assert_eq!(kind, "gzip");
        let mut json = String::new();
        let packed = STANDARD.decode(text).unwrap();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut json).unwrap();
        assert_eq!(json, serde_json::to_string(&report).unwrap());
    }
}
