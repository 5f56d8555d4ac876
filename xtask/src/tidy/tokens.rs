//! Rust source as a flat list of tokens with lines: comments and the insides of strings cannot mislead a rule.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// One token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// An identifier, a literal, or one character of punctuation or bracket.
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
    /// Punctuation that the next character continues, as `=` in `=>`.
    pub(crate) joint: bool,
    /// Inside a module or function marked as for tests.
    pub(crate) in_test: bool,
}

impl Token {
    pub(crate) fn is_name(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

/// The tokens of a Rust file, or why it cannot be read.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let stream: TokenStream = text.parse().map_err(|error| format!("not Rust: {error}"))?;
    let mut flat = Vec::new();
    flatten(stream, false, &mut flat);
    Ok(flat)
}

fn flatten(stream: TokenStream, in_test: bool, flat: &mut Vec<Token>) {
    let mut after_hash = false;
    // Set by `#[test]`, `#[tokio::test]`, `#[cfg(test)]` or `#[cfg(all(test, ..))]`; holds until the body of the item, or the `;` of one without.
    let mut marked = false;
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |text: String, line: usize, joint: bool| {
            flat.push(Token { text, line, joint, in_test: in_test || marked });
        };
        match tree {
            TokenTree::Ident(name) => push(name.to_string(), line, false),
            TokenTree::Literal(literal) => push(literal.to_string(), line, false),
            TokenTree::Punct(punctuation) => {
                let joint = punctuation.spacing() == Spacing::Joint;
                push(punctuation.as_char().to_string(), line, joint);
                after_hash = punctuation.as_char() == '#' || (after_hash && punctuation.as_char() == '!');
                if punctuation.as_char() == ';' {
                    marked = false;
                }
                continue;
            }
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                let end = group.span_close().start().line;
                push(open.to_owned(), line, false);
                let inside = in_test || marked;
                flatten(group.stream(), inside, flat);
                flat.push(Token { text: close.to_owned(), line: end, joint: false, in_test: inside });
                if after_hash && group.delimiter() == Delimiter::Bracket {
                    let attribute: String = group.stream().to_string().split_whitespace().collect();
                    marked |= matches!(&*attribute, "test" | "tokio::test" | "cfg(test)")
                        || attribute.starts_with("cfg(all(test,");
                } else if group.delimiter() == Delimiter::Brace {
                    marked = false;
                }
            }
        }
        after_hash = false;
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_vanish_strings_stay_whole_and_lines_are_kept() {
        let flat = tokens("// unsafe\nlet a =\n \"unsafe {\"; /* unsafe */").unwrap();
        let texts: Vec<_> = flat.iter().map(|token| (token.text.as_str(), token.line)).collect();
        assert_eq!(texts, [("let", 2), ("a", 2), ("=", 2), ("\"unsafe {\"", 3), (";", 3)]);
    }

    #[test]
    fn what_is_marked_as_test_ends_with_its_body() {
        let flat = tokens(
            "fn a() {} #[cfg(test)] mod tests { fn b() {} } #[test] fn c() { d(); } fn e() {} \
             #[cfg(all(test, unix))] fn f() {} #[cfg(any(test, unix))] fn g() {}",
        )
        .unwrap();
        let marked = |name: &str| flat.iter().find(|token| token.text == name).unwrap().in_test;
        assert!(!marked("a") && !marked("e") && !marked("g"));
        assert!(marked("b") && marked("c") && marked("d") && marked("f"));
    }

    #[test]
    fn a_file_that_is_not_rust_says_so() {
        assert!(tokens("fn a( {").is_err());
    }
}
