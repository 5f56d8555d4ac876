//! The web part: types, tests, that `web/dist` is what its source builds, and the built pages used in a browser.
//!
//! It needs Node.js and npm, and for the browser Debian's Chromium; what is missing is said and counted as skipped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::succeeds;
use crate::tally::{FAILED, PASSED, SKIPPED, Tally};
use crate::tree::target_folder;

/// Where the browser test looks for Chromium, unless this variable names it.
const CHROMIUM: &str = "/usr/bin/chromium";
const CHROMIUM_VARIABLE: &str = "ABERRA_CHROMIUM";

/// The first versions of Node.js that build the page.
const OLDEST_NODE: (u64, u64) = (20, 19);

/// Every check of the web part that needs no server, one after another; what builds on a failed one is not run.
pub(crate) fn check(root: &Path) -> Tally {
    let web = root.join("web");
    if let Err(why) = node(&web) {
        println!("skipped: the web part was not checked; {why}");
        return SKIPPED;
    }
    let built = target_folder(root).join("web");
    let steps: [(&str, &[&str]); 5] = [
        ("the packages of package-lock.json", &["ci", "--no-audit", "--no-fund"]),
        ("the client made from the server's description", &["run", "--silent", "api:check"]),
        ("types", &["run", "--silent", "check"]),
        ("tests", &["test"]),
        ("build", &["run", "--silent", "build"]),
    ];
    let mut tally = Tally::default();
    for (name, arguments) in steps {
        println!("-- {name}");
        if !succeeds(npm(&web).args(arguments).env("ABERRA_OUT", &built)) {
            println!("web: {name}: failed");
            tally.add(FAILED);
            return tally;
        }
        tally.add(PASSED);
    }
    tally.add(same(&web.join("dist"), &built));
    println!("-- the report in a browser");
    tally.add(browser(&web, "browser", &[("ABERRA_OUT", &built.to_string_lossy())]));
    tally
}

/// The app of running servers, one of which needs a key, used in a browser.
pub(crate) fn app(root: &Path, open: &str, keyed: &str, key: &str) -> Tally {
    let web = root.join("web");
    if let Err(why) = node(&web) {
        println!("skipped: the app was not opened; {why}");
        return SKIPPED;
    }
    let servers = [("ABERRA_URL", open), ("ABERRA_KEYED_URL", keyed), ("ABERRA_KEY", key)];
    browser(&web, "browser:app", &servers)
}

/// The app of a running server whose detector judges volumes, and a folder of some.
pub(crate) fn volumes(root: &Path, url: &str, volumes: &Path) -> Tally {
    let web = root.join("web");
    if let Err(why) = node(&web) {
        println!("skipped: no volume was given to the app; {why}");
        return SKIPPED;
    }
    browser(&web, "browser:volumes", &[("ABERRA_URL", url), ("ABERRA_VOLUMES", &volumes.to_string_lossy())])
}

/// Whether the committed files are what the source builds: the same names, byte for byte.
fn same(committed: &Path, built: &Path) -> Tally {
    match (files(committed), files(built)) {
        (Ok(committed), Ok(built)) => {
            let differing: Vec<_> = committed
                .keys()
                .chain(built.keys())
                .filter(|name| committed.get(*name) != built.get(*name))
                .collect();
            if let Some(name) = differing.first() {
                println!(
                    "web/dist/{} is not what web/ builds; run `npm ci && npm run build` in web/ and commit it",
                    name.display()
                );
                return FAILED;
            }
            PASSED
        }
        (committed, built) => {
            for error in [committed.err(), built.err()].into_iter().flatten() {
                println!("web: the built pages cannot be read: {error}");
            }
            FAILED
        }
    }
}

/// Every file below a folder, by its name from there.
fn files(folder: &Path) -> std::io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(within) = folders.pop() {
        for entry in std::fs::read_dir(folder.join(&within))? {
            let entry = entry?;
            let name = within.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(name);
            } else {
                found.insert(name, std::fs::read(entry.path())?);
            }
        }
    }
    Ok(found)
}

/// Uses built pages in Chromium, which is installed where this may do so: the script of `package.json` that is named.
fn browser(web: &Path, script: &str, settings: &[(&str, &str)]) -> Tally {
    if std::env::var_os(CHROMIUM_VARIABLE).is_none() && !Path::new(CHROMIUM).exists() {
        install_chromium();
        if !Path::new(CHROMIUM).exists() {
            println!(
                "skipped: no page was opened in a browser; expected Chromium at {CHROMIUM} or in \
                 {CHROMIUM_VARIABLE} (on Debian: apt-get install chromium)"
            );
            return SKIPPED;
        }
    }
    if succeeds(npm(web).args(["run", "--silent", script]).envs(settings.iter().copied())) {
        PASSED
    } else {
        FAILED
    }
}

/// Debian's Chromium by apt-get, which only root may run; elsewhere this does nothing.
fn install_chromium() {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    if !root || Command::new("apt-get").arg("--version").output().is_err() {
        return;
    }
    println!("installing Debian's Chromium");
    for arguments in
        [&["update", "-qq"][..], &["install", "-y", "-qq", "--no-install-recommends", "chromium"]]
    {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        if !succeeds(&mut command) {
            return;
        }
    }
}

/// Whether Node.js is there and new enough, and npm with it; else what is missing.
fn node(web: &Path) -> Result<(), String> {
    let said = Command::new("node").arg("--version").output();
    let said = said.map_err(|_| "Node.js is not installed".to_owned())?;
    let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    if !new_enough(&version) {
        return Err(format!(
            "expected Node.js {}.{} or later, found {version}",
            OLDEST_NODE.0, OLDEST_NODE.1
        ));
    }
    let found = npm(web).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) { Ok(()) } else { Err("npm is not installed".to_owned()) }
}

/// Whether `version` (`v20.20.2`) is one that builds the page.
fn new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= OLDEST_NODE,
        _ => false,
    }
}

fn npm(web: &Path) -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(web);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node_are_read() {
        for good in ["v20.19.0", "v20.20.2", "v22.12.0", "v100.0.0"] {
            assert!(new_enough(good), "{good}");
        }
        for bad in ["v20.18.3", "v18.20.0", "", "node", "v20"] {
            assert!(!new_enough(bad), "{bad}");
        }
    }

    #[test]
    fn pages_that_differ_by_one_byte_or_one_file_are_found() {
        let folder = std::env::temp_dir().join(format!("aberra-xtask-web-{}", std::process::id()));
        let [one, other] = ["one", "other"].map(|name| folder.join(name));
        for side in [&one, &other] {
            std::fs::create_dir_all(side.join("app")).unwrap();
            std::fs::write(side.join("report.html"), "<html>").unwrap();
            std::fs::write(side.join("app").join("index.html"), "<html>").unwrap();
        }
        assert_eq!(same(&one, &other), PASSED);
        std::fs::write(other.join("app").join("index.html"), "<html>\n").unwrap();
        assert_eq!(same(&one, &other), FAILED);
        std::fs::write(other.join("app").join("index.html"), "<html>").unwrap();
        std::fs::write(other.join("app").join("more.js"), "").unwrap();
        assert_eq!((same(&one, &other), same(&other, &one)), (FAILED, FAILED));
        assert_eq!(same(&folder.join("none"), &folder), FAILED);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
