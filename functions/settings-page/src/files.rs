//! The files of the built page.

/// One file, in the encodings that the function has it in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File {
    /// Its path below the root, without a leading slash.
    pub(crate) path: &'static str,
    pub(crate) plain: Option<&'static [u8]>,
    pub(crate) brotli: Option<&'static [u8]>,
    pub(crate) gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/files.rs"));

impl File {
    /// Its content in the best encoding that the browser accepts, with the name of the encoding.
    ///
    /// A client that accepts none of them still gets gzip, because every browser accepts it.
    pub(crate) fn encoded(&self, accepted: &str) -> (&'static [u8], Option<&'static str>) {
        let accepts = |name: &str| {
            accepted.split(',').any(|entry| {
                let (coding, weight) = entry.split_once(';').unwrap_or((entry, ""));
                let weight = weight.trim().trim_start_matches("q=");
                coding.trim() == name && weight.parse().map_or(true, |weight: f32| weight > 0.0)
            })
        };
        match self {
            Self { brotli: Some(content), .. } if accepts("br") => (content, Some("br")),
            Self { gzip: Some(content), .. } if accepts("gzip") => (content, Some("gzip")),
            Self { plain: Some(content), .. } => (content, None),
            Self { gzip, .. } => (gzip.unwrap_or_default(), Some("gzip")),
        }
    }

    /// Its media type. The browser mustn't guess (`nosniff`).
    pub(crate) fn content_type(&self) -> &'static str {
        match self.path.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("woff2") => "font/woff2",
            Some("txt") => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: File =
        File { path: "assets/a.js", plain: None, brotli: Some(b"brotli"), gzip: Some(b"gzip") };

    #[test]
    fn a_browser_gets_the_best_encoding_that_it_accepts() {
        let cases = [
            ("gzip, deflate, br, zstd", Some("br")),
            ("br;q=1.0, gzip;q=0.5", Some("br")),
            ("gzip, br;q=0", Some("gzip")),
            ("gzip", Some("gzip")),
            ("", Some("gzip")),
            ("identity", Some("gzip")),
        ];
        for (accepted, encoding) in cases {
            assert_eq!(FILE.encoded(accepted).1, encoding, "{accepted}");
        }
        let page = File { path: "index.html", plain: Some(b"plain"), ..FILE };
        assert_eq!(page.encoded(""), (b"plain".as_slice(), None));
    }
}
