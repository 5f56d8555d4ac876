//! `--help`, `--version` and usage errors.

use aberra::models::families::FAMILIES;
use aberra::score::SCORERS;

use crate::program::Room;

#[test]
fn help_lists_the_verbs() {
    let help = Room::new().run("--help").done().out;
    let verbs: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|verb| !verb.is_empty())
        .collect();
    assert_eq!(
        verbs,
        [
            "doctor",
            "train",
            "import",
            "calibrate",
            "score",
            "merge",
            "evaluate",
            "explain",
            "report",
            "export",
            "bench",
            "serve",
            "info",
            "demo",
            "completions",
            "help"
        ]
    );
}

#[test]
fn every_verb_has_help_with_an_example() {
    let room = Room::new();
    for verb in [
        "doctor",
        "train",
        "import",
        "calibrate",
        "score",
        "merge",
        "evaluate",
        "explain",
        "report",
        "export",
        "bench",
        "serve",
        "info",
        "demo",
        "completions",
    ] {
        let ended = room.run(&format!("{verb} --help")).done();
        assert!(ended.out.contains(&format!("aberra {verb} ")) && ended.err.is_empty(), "{}", ended.out);
    }
}

/// A line of a footer that is longer than a narrow terminal is broken where it makes no sense; prose breaks anywhere.
#[test]
fn examples_fit_a_terminal_of_80_columns() {
    let room = Room::new();
    let verbs = room.run("--help").done().out;
    let verbs = verbs.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs = verbs
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let mut examples = 0;
    for verb in verbs.filter(|verb| !["", "help"].contains(verb)) {
        let help = room.run(&format!("{verb} --help")).done().out;
        let footer = help.lines().skip_while(|line| !line.starts_with("Example"));
        for line in footer.filter(|line| line.starts_with("  ")) {
            assert!(line.chars().count() <= 80, "{verb}: {line}");
            examples += 1;
        }
    }
    assert!(examples > 30, "{examples}");
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(Room::new().run("--version").done().out, concat!("aberra ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn wrong_use_ends_with_1() {
    let room = Room::new();
    for words in
        ["", "learn", "train", "score", "score a.aberra", "info --rows x", "train x --out y --fold 0/5"]
    {
        let ended = room.run(words);
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{words}");
        assert!(ended.err.contains("Usage") || ended.err.contains("error: "), "{words}: {}", ended.err);
    }
}

/// The lists are the library's: what is added there appears here.
#[test]
fn help_lists_every_family_preset_and_scorer() {
    let help = Room::new().run("train --help").done().out;
    // Lines are broken at the terminal's width.
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for family in FAMILIES {
        assert!(help.contains(&format!("- {}: {}", family.name(), family.about())), "{help}");
        let listed = help.split(&format!("- {}: ", family.name())).last().unwrap_or_default();
        for preset in family.presets() {
            let size = preset.size_px.map_or_else(String::new, |size_px| format!("{size_px} px"));
            let is_default = preset.name == family.default_preset();
            assert!(!is_default || listed.contains("default)"), "{listed}");
            assert!(listed.contains(preset.name) && listed.contains(&size), "{listed}");
        }
    }
    for scorer in SCORERS {
        assert!(help.contains(&format!("- {}: {}", scorer.name(), scorer.about())), "{help}");
    }
}

#[test]
fn info_describes_the_machine_where_that_is_asked_for() {
    let room = Room::new();
    let card = room.run("info --machine --json").done().json();
    let words = room.run("info --machine").done().out;
    let of = |name: &str| card[name].as_str().unwrap().to_owned();
    let decided = format!("{}, by {}: {}", of("auto_precision"), of("chosen_by"), of("why"));
    assert!(words.contains(&decided) && words.contains(&of("processor")), "{words}{card}");
    // A measurement would have been kept, and its time with it.
    assert_eq!(card["measured_at_secs"].is_u64(), of("chosen_by") == "measurement", "{card}");
    assert!(card["f32_gflops"].as_f64().unwrap() > 0.1, "{card}");
    assert!(room.run("info").refusal(&room).contains("DETECTOR"));
    assert!(room.run("info --machine d.aberra").refusal(&room).contains("--machine"));
}

#[test]
fn completions_and_manual_pages_know_every_verb() {
    let room = Room::new();
    let verbs = ["train", "score", "merge", "completions"];
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = room.run(&format!("completions {shell}")).done().out;
        assert!(verbs.iter().all(|verb| script.contains(verb)), "{shell}");
    }
    room.run("completions --man pages").done();
    for page in ["aberra.1", "aberra-score.1", "aberra-merge.1"] {
        let text = std::fs::read_to_string(room.path(format!("pages/{page}"))).unwrap();
        assert!(text.contains(".TH") && text.contains("SYNOPSIS"), "{page}");
    }
    assert_eq!(room.run("completions tcsh").code, 1);
}
