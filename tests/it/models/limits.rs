//! Disks and memories that are smaller than what is asked of them, and readers that go away.

use std::process::{Command, Stdio};

use z1::gguf::tiny::Tiny;

use super::hub::Hub;
use super::{Home, Said, checkpoint};

/// Runs z1 from a shell that has limited itself first. A write that meets the limit of a file's size fails as one on a
/// full disk does: after a part of it was written.
fn limited(home: &Home, limit: &str, arguments: &[&str]) -> Said {
    let z1 = assert_cmd::cargo::cargo_bin("z1");
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{limit}; exec \"$@\"")).arg("sh").arg(z1).args(arguments);
    command.env("Z1_HOME", home.path()).env_remove("Z1_MODEL").env_remove("HF_ENDPOINT").env_remove("HF_HUB_OFFLINE");
    let output = command.current_dir(home.path()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("the program speaks UTF-8");
    Said { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What lies in the store.
fn stored(home: &Home) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(home.path().join("data/models")) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_write_that_fails_half_way_leaves_no_model_and_says_so() {
    let home = Home::new();
    checkpoint(&home.path().join("m"), true);
    // Blocks of 512 bytes; the model has megabytes.
    let said = limited(&home, "ulimit -f 500", &["models", "import", "m"]);
    assert!(said.code == 1 && said.stderr.contains("File too large"), "{}{}", said.code, said.stderr);
    assert_eq!(stored(&home), [""; 0]);
    home.succeed(&["models", "import", "m"]);
    let said = limited(&home, "ulimit -f 500", &["models", "quantise", "m", "Q8_0"]);
    assert!(said.code == 1 && said.stderr.starts_with("z1: cannot quantise"), "{}{}", said.code, said.stderr);
    assert_eq!(stored(&home), ["m"]);
}

#[test]
fn a_pull_that_finds_no_room_keeps_what_has_arrived_and_goes_on_later() {
    let home = Home::new();
    let repository = home.path().join("repository");
    checkpoint(&repository, true);
    let hub = Hub::start(&repository, &[], None);
    let pull = ["models", "pull", "owner/name", "--quant", "none", "--name", "m", "--mirror", &hub.base];
    let said = limited(&home, "ulimit -f 500", &pull);
    assert!(said.code == 1 && said.stderr.contains("File too large"), "{}{}", said.code, said.stderr);
    let part = home.path().join("data/models/m/source/model.safetensors.part");
    assert_eq!(std::fs::metadata(part).unwrap().len(), 500 * 512);
    assert!(home.run(&["models", "info", "m"]).code == 4, "half a model is none");
    home.succeed(&pull);
    assert!(home.model("m").is_file());
}

#[test]
fn too_little_address_space_is_said_before_anything_is_loaded() {
    let home = Home::new();
    let model = home.path().join("tiny.gguf");
    Tiny::default().write(&model).unwrap();
    let task = ["-p", "-q", "--standalone", "--model", "tiny.gguf", "--window", "4", "--rounds", "0", "hi"];
    // How much the program itself takes differs from build to build: the first limit that is too small is looked for.
    let limits = (4..40).rev().map(|step| limited(&home, &format!("ulimit -v {}", step * 50_000), &task));
    let refused = limits.into_iter().find(|said| said.code != 0).expect("200 MB are too little for every build");
    assert!(refused.code == 4 && refused.stderr.contains("are free"), "{}{}", refused.code, refused.stderr);
}

#[test]
fn a_reader_that_goes_away_ends_the_program_without_a_word() {
    let home = Home::new();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("z1"));
    command.args(["models", "list"]).env("Z1_HOME", home.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_model_whose_file_is_gone_is_not_among_those_that_can_be_used() {
    let home = Home::new();
    let model = home.path().join("tiny.gguf");
    Tiny::default().write(&model).unwrap();
    home.succeed(&["models", "add", "tiny.gguf"]);
    home.succeed(&["models", "use", "tiny"]);
    std::fs::remove_file(model).unwrap();
    let said = home.succeed(&["models", "list"]);
    assert!(
        !said.stdout.contains("tiny") && said.stderr.contains("\"tiny\" is gone"),
        "{}{}",
        said.stdout,
        said.stderr
    );
    for arguments in [&["models", "info", "tiny"][..], &["-p", "hi"], &["models", "quantise", "tiny", "Q8_0"]] {
        let said = home.run(arguments);
        assert!(said.code == 4 && said.stderr.contains("z1 models rm tiny"), "{arguments:?}: {}", said.stderr);
    }
    home.succeed(&["models", "rm", "tiny"]);
    assert_eq!(home.succeed(&["models", "list"]).stderr, "");
}
