//! Every operation of the layer fails once, in each way; targets of every kind.

use std::collections::BTreeSet;
use std::ffi::OsString;

use super::fault::during;
use super::*;

const OLD: &[u8] = b"old";

fn room() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn names(folder: &Path) -> BTreeSet<OsString> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn whatever_fails_the_old_file_or_the_new_one_is_there_and_nothing_else() {
    let new = vec![7_u8; 5 * BUFFER_BYTES + 11];
    for (before, expected) in [(Some(OLD), Some(OLD)), (None, None)] {
        for operation in ["create", "write", "sync", "rename", "sync-folder"] {
            for outcome in ["ENOSPC", "EIO", "EACCES"] {
                let mut number = 1;
                loop {
                    let room = room();
                    let path = room.path().join("file");
                    before.into_iter().for_each(|bytes| fs::write(&path, bytes).unwrap());
                    let act = || {
                        let mut file = OutputFile::create(&path)?;
                        new.chunks(1000).try_for_each(|bytes| file.write_all(bytes))?;
                        file.commit()
                    };
                    let (result, seen) = during(&format!("{operation}:{number}:{outcome}"), act);
                    let found = fs::read(&path).ok();
                    let left: Vec<OsString> =
                        names(room.path()).into_iter().filter(|name| name != "file").collect();
                    assert_eq!(left, Vec::<OsString>::new(), "{operation} {number}");
                    if seen < number {
                        result.unwrap();
                        assert_eq!(found.as_deref(), Some(&new[..]));
                        assert!(number > 1, "{operation} is never done");
                        break;
                    }
                    let error = result.unwrap_err();
                    assert!(error.is_io() && error.path() == Some(&path), "{error}");
                    // After the rename only the durability of the new file is in doubt.
                    let expected = if operation == "sync-folder" { Some(&new[..]) } else { expected };
                    assert_eq!(found.as_deref(), expected, "{operation} {number} {outcome}");
                    number += 1;
                }
            }
        }
    }
}

#[test]
fn what_is_never_committed_or_interrupted_leaves_nothing() {
    let room = room();
    let path = room.path().join("file");
    let mut file = OutputFile::create(&path).unwrap();
    file.write_all(b"half").unwrap();
    assert_eq!(names(room.path()).len(), 1);
    drop(file);
    assert!(names(room.path()).is_empty());
}

#[test]
fn what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not() {
    let room = room();
    fs::write(room.path().join(".aberra-1-0.tmp"), b"left").unwrap();
    fs::write(room.path().join(".other.tmp"), b"another program's").unwrap();
    let living = OutputFile::create(&room.path().join("file")).unwrap();
    replace::sweep(room.path(), std::time::Duration::ZERO);
    assert_eq!(names(room.path()).len(), 2);
    living.commit().unwrap();
    assert_eq!(names(room.path()), ["file", ".other.tmp"].map(OsString::from).into());
    // Fresh ones are left alone: their writer may be about to lock them.
    fs::write(room.path().join(".aberra-1-0.tmp"), b"left").unwrap();
    sweep(room.path());
    assert!(room.path().join(".aberra-1-0.tmp").exists());
}

#[test]
fn folders_missing_parents_and_inputs_are_refused_and_nothing_changes() {
    let room = room();
    let at = |name: &str| room.path().join(name);
    fs::create_dir_all(at("photos/maps")).unwrap();
    fs::write(at("photos/a.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    fs::write(at("photos/notes.csv"), OLD).unwrap();
    let refusal = |name: &str, inputs: &[&Path]| check(&at(name), inputs).unwrap_err().to_string();
    let photos = at("photos");
    for (name, expected) in [
        ("photos", "found a folder"),
        ("nowhere/rows.csv", "expected a folder to write to, found none"),
        ("rows/", "found the name of a folder"),
        ("photos/notes.csv/rows.csv", "Not a directory"),
        ("photos/a.png", "one that this command reads"),
    ] {
        let said = refusal(name, &[&photos]);
        assert!(said.contains(expected), "{name}: {said}");
    }
    assert!(refusal("photos/notes.csv", &[&at("photos/notes.csv")]).contains("this command reads"));
    check(&at("photos/notes.csv"), &[&photos]).unwrap();
    check(&at("photos/new.png"), &[&photos]).unwrap();
    check_folder(&at("photos/maps")).unwrap();
    check_folder(&at("new/folder/of/it")).unwrap();
    assert!(check_folder(&at("photos/a.png/maps")).unwrap_err().to_string().contains("a.png"));
    assert_eq!(names(room.path()).len(), 1);
    assert!(check(Path::new(""), &[]).is_err() && check_folder(Path::new("")).is_err());
}

#[cfg(unix)]
mod unix {
    use std::io::Read;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    #[test]
    fn links_stay_and_their_target_is_written() {
        let room = room();
        let at = |name: &str| room.path().join(name);
        fs::create_dir(at("far")).unwrap();
        fs::write(at("far/target"), OLD).unwrap();
        symlink("far/target", at("link")).unwrap();
        symlink("link", at("second")).unwrap();
        symlink("far/none-yet", at("dangling")).unwrap();
        symlink("circle", at("circle")).unwrap();
        symlink("nowhere/file", at("astray")).unwrap();
        write(&at("second"), b"new").unwrap();
        write(&at("dangling"), b"made").unwrap();
        assert!(fs::symlink_metadata(at("second")).unwrap().is_symlink());
        assert_eq!(fs::read(at("far/target")).unwrap(), b"new");
        assert_eq!(fs::read(at("far/none-yet")).unwrap(), b"made");
        assert!(check(&at("circle"), &[]).unwrap_err().to_string().contains("links"));
        assert!(check(&at("astray"), &[]).unwrap_err().to_string().contains("nowhere"));
        assert!(check(&at("second"), &[&at("far/target")]).unwrap_err().to_string().contains("reads"));
    }

    #[test]
    fn the_mode_is_kept_and_new_files_have_the_usual_one() {
        let room = room();
        let path = room.path().join("file");
        write(&path, OLD).unwrap();
        let usual = room.path().join("usual");
        fs::write(&usual, OLD).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), mode(&usual));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!((mode(&path), fs::read(&path).unwrap()), (0o640, b"new".to_vec()));
    }

    #[test]
    fn pipes_and_devices_are_written_into_and_stay_what_they_are() {
        let room = room();
        let fifo = room.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        check(&fifo, &[]).unwrap();
        let reader = {
            let fifo = fifo.clone();
            std::thread::spawn(move || {
                let mut read = String::new();
                File::open(fifo).unwrap().read_to_string(&mut read).unwrap();
                read
            })
        };
        write(&fifo, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert_eq!(names(room.path()).len(), 1);
        let device = room.path().join("device");
        symlink("/dev/full", &device).unwrap();
        let error = write(&device, b"x").unwrap_err().to_string();
        assert!(error.contains("No space left"), "{error}");
        assert_eq!(names(room.path()).len(), 2);
    }

    #[test]
    fn files_that_a_shell_opened_are_streams() {
        assert_eq!(resolve(Path::new("/dev/stdout")).unwrap(), Place::Stream(Stream::StandardOutput));
        assert_eq!(resolve(Path::new("/dev/fd/2")).unwrap(), Place::Stream(Stream::StandardError));
        assert_eq!(resolve(Path::new("/proc/self/fd/1")).unwrap(), Place::Stream(Stream::StandardOutput));
        let room = room();
        let file = File::create(room.path().join("file")).unwrap();
        let handed = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        write(Path::new(&handed), b"one").unwrap();
        write(Path::new(&handed), b" two").unwrap();
        assert_eq!(fs::read(room.path().join("file")).unwrap(), b"one two");
    }
}
