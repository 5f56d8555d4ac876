//! What a result may depend on: no hidden randomness anywhere in the crates, in metrics, models and scorers no files,
//! clock, environment or network either, and no environment in the kernels.

use super::tokens::{Token, tokens};
use crate::tree::Tree;

/// Generators that seed themselves.
const HIDDEN_RANDOMNESS: &[&str] = &[
    "thread_rng",
    "ThreadRng",
    "OsRng",
    "SysRng",
    "from_os_rng",
    "try_from_os_rng",
    "from_entropy",
    "make_rng",
];

/// Names through which code reaches the world.
const OUTSIDE: &[&str] =
    &["fs", "File", "OpenOptions", "Instant", "SystemTime", "env", "net", "Command", "stdin"];

/// Crates and modules whose results come from their arguments alone.
const PURE_MODULES: &[&str] = &[
    "crates/aberra-metrics/src/",
    "crates/aberra-models/src/",
    "crates/aberra/src/model",
    "crates/aberra/src/score",
];

/// The kernels: they ask the processor what it can do, and nothing else.
const KERNELS: &str = "crates/aberra-kernels/src/";

/// Draws from a generator without a seed.
pub(crate) fn hidden_randomness(tree: &Tree) -> Vec<String> {
    let advice = "draw from `aberra::random::generator`";
    found(tree, "crates/", |flat, at| {
        // `rand::random()`, `rand::rng()` and `Tensor::random(..)` draw from a state that is not theirs alone.
        let called = matches!(flat[at].text.as_str(), "random" | "rng")
            && at.checked_sub(1).is_some_and(|before| flat[before].text == ":")
            && flat.get(at + 1).is_some_and(|next| next.text == "(");
        HIDDEN_RANDOMNESS.contains(&flat[at].text.as_str()) || called
    })
    .map(|(place, name)| format!("{place}: `{name}` draws from a hidden generator; {advice}"))
    .collect()
}

/// Files, clock, environment or network in the crates and modules that only compute.
pub(crate) fn reaching_out(tree: &Tree) -> Vec<String> {
    let places = PURE_MODULES
        .iter()
        .flat_map(|module| found(tree, module, |flat, at| OUTSIDE.contains(&flat[at].text.as_str())));
    places
        .map(|(place, name)| format!("{place}: `{name}`: this module only computes; pass in what it needs"))
        .collect()
}

/// The environment in the kernels: a caller that needs another instruction set than the widest passes it in.
pub(crate) fn kernels_in_an_environment(tree: &Tree) -> Vec<String> {
    found(tree, KERNELS, |flat, at| matches!(flat[at].text.as_str(), "env" | "option_env"))
        .map(|(place, name)| {
            format!("{place}: `{name}`: kernels read no environment; pass in what they need")
        })
        .collect()
}

/// The tokens outside tests, in files whose path begins with `folder`, for which `wrong` holds: place and text.
fn found<'a>(
    tree: &'a Tree,
    folder: &'a str,
    wrong: impl Fn(&[Token], usize) -> bool + 'a,
) -> impl Iterator<Item = (String, String)> + 'a {
    let files = tree.rust().filter(move |(path, _)| path.starts_with(folder) && !path.contains("/tests/"));
    let files = files.filter_map(|(path, text)| Some((path, tokens(text).ok()?)));
    files.flat_map(move |(path, flat)| {
        let places = (0..flat.len()).filter(|&at| !flat[at].in_test && wrong(&flat, at));
        places.map(|at| (format!("{path}:{}", flat[at].line), flat[at].text.clone())).collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_from_a_hidden_generator_is_found() {
        let bad = [
            "fn a() { rand::rng() }",
            "fn a() -> f64 { rand::random() }",
            "fn a() { Tensor::<2>::random([1, 1], d, device) }",
            "use rand::rngs::OsRng;",
            "fn a() { ChaCha8Rng::from_os_rng() }",
        ];
        for text in bad {
            assert_eq!(hidden_randomness(&Tree::of(&[("crates/a/src/a.rs", text)])).len(), 1, "{text}");
        }
    }

    #[test]
    fn draws_from_a_given_generator_and_draws_in_tests_pass() {
        let good = "use crate::random::generator; fn a(rng: &mut impl Rng) -> f64 { rng.random() }\n\
            #[cfg(test)] mod tests { fn b() { rand::rng() } }";
        let other = "fn a() { rand::rng() }";
        let tree =
            Tree::of(&[("crates/a/src/a.rs", good), ("crates/a/tests/b.rs", other), ("xtask/a.rs", other)]);
        assert_eq!(hidden_randomness(&tree), Vec::<String>::new());
    }

    #[test]
    fn a_model_or_scorer_that_reaches_outside_is_found() {
        let bad = ["use std::fs;", "fn a() { std::time::Instant::now() }", "fn a() { std::env::var(\"A\") }"];
        for text in bad {
            for path in [
                "crates/aberra-metrics/src/lib.rs",
                "crates/aberra-models/src/a/b.rs",
                "crates/aberra/src/model/a.rs",
                "crates/aberra/src/score.rs",
            ] {
                assert_eq!(reaching_out(&Tree::of(&[(path, text)])).len(), 1, "{path}: {text}");
            }
            for path in ["crates/aberra/src/store.rs", "crates/aberra-models/tests/a.rs"] {
                assert!(reaching_out(&Tree::of(&[(path, text)])).is_empty(), "{path}: {text}");
            }
        }
        let good = "#[cfg(test)] mod tests { use std::fs; }";
        assert!(reaching_out(&Tree::of(&[("crates/aberra/src/model/a.rs", good)])).is_empty());
    }

    #[test]
    fn kernels_that_read_the_environment_are_found() {
        let path = "crates/aberra-kernels/src/a.rs";
        let bad = [
            "use std::env;",
            "fn a() { std::env::var(\"A\") }",
            "const A: Option<&str> = option_env!(\"A\");",
        ];
        for text in bad {
            assert_eq!(kernels_in_an_environment(&Tree::of(&[(path, text)])).len(), 1, "{text}");
        }
        let good =
            "// env\nfn a(environment: u8) { fs::read(\"env\") } #[cfg(test)] mod tests { use std::env; }";
        let tree = Tree::of(&[
            (path, good),
            ("crates/aberra-kernels/tests/a.rs", bad[0]),
            ("crates/b/src/a.rs", bad[0]),
        ]);
        assert_eq!(kernels_in_an_environment(&tree), Vec::<String>::new());
    }
}
