//! `z1 doctor` as its user calls it.

use crate::models::Home;

fn json(home: &Home, change: impl FnOnce(&mut assert_cmd::Command)) -> (i32, serde_json::Value) {
    let mut command = home.command();
    command.args(["doctor", "--json"]);
    change(&mut command);
    let output = command.output().unwrap();
    let value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    (output.status.code().unwrap(), value)
}

/// States of the findings about something.
fn states<'a>(report: &'a serde_json::Value, what: &str) -> Vec<&'a str> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["what"] == what).map(|finding| finding["state"].as_str().unwrap()).collect()
}

#[test]
fn every_subject_has_a_line_and_every_trouble_a_mend() {
    let home = Home::new();
    let tiny = home.path().join("tiny.gguf");
    z1::gguf::tiny::Tiny::default().write(&tiny).unwrap();
    let (_, report) = json(&home, |command| {
        command.env("Z1_MODEL", &tiny);
    });
    for what in [
        "build",
        "processor",
        "memory",
        "GPU",
        "sandbox",
        "tools",
        "terminal",
        "settings",
        "folders",
        "models",
        "model",
    ] {
        assert!(!states(&report, what).is_empty(), "{what}: {report}");
    }
    for finding in report["findings"].as_array().unwrap() {
        assert_eq!(finding["state"] != "ok", finding["mend"].is_string(), "{finding}");
    }
    assert_eq!(states(&report, "model"), ["ok"]);
    let plan = &report["fit"]["plan"];
    assert!(plan["host"]["weights_bytes"].as_u64().unwrap() > 100_000, "{plan}");
    let said = home.run(&["doctor", "--model", tiny.to_str().unwrap(), "--context", "512"]);
    assert!(said.stdout.contains("together") && said.stdout.contains("context 512"), "{}", said.stdout);
}

#[cfg(all(feature = "llama", feature = "pull"))]
#[test]
fn who_has_only_the_demonstration_is_told_what_to_fetch() {
    let home = Home::new();
    crate::models::only_tiny_fits(home.path(), 1000);
    let (_, report) = json(&home, |_| {});
    let told = report["findings"].as_array().unwrap().iter().find(|finding| finding["mend"] == "z1 models pull tiny");
    let told = told.unwrap_or_else(|| panic!("{report}"));
    assert_eq!((&told["what"], &told["state"]), (&"model".into(), &"warning".into()));
    assert!(told["text"].as_str().unwrap().contains("only a demonstration"), "{told}");
    let (_, report) = json(&home, |command| {
        command.args(["--model", "z1-nano"]);
    });
    assert_eq!(states(&report, "model"), ["ok"], "it was asked for");
}

#[test]
fn a_broken_settings_file_is_found_and_the_rest_still_told() {
    let home = Home::new();
    let folder = home.path().join("config");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), "modle = 'x'\n").unwrap();
    let (code, report) = json(&home, |_| {});
    assert_eq!(code, 1);
    assert_eq!((states(&report, "settings"), report["healthy"].as_bool()), (vec!["broken"], Some(false)));
    assert!(report.to_string().contains("did you mean `model`?"));
    assert!(!states(&report, "sandbox").is_empty());
    std::fs::write(folder.join("config.toml"), "window = [").unwrap();
    assert_eq!(states(&json(&home, |_| {}).1, "settings"), ["broken"]);
}

#[test]
fn without_python_and_with_a_home_that_cannot_be_written_it_warns() {
    let home = Home::new();
    // Nothing can be made below a device, not even by root.
    let (_, report) = json(&home, |command| {
        command.env("Z1_HOME", "/dev/null/home").env("PATH", "/nowhere");
    });
    assert_eq!(states(&report, "folders"), ["warning"; 3]);
    if !std::path::Path::new("/usr/bin/python3").exists() && !std::path::Path::new("/bin/python3").exists() {
        assert!(states(&report, "tools").contains(&"warning"), "{report}");
    }
}

#[test]
fn a_model_that_is_not_there_or_broken_is_named() {
    let home = Home::new();
    let page = home.path().join("page.gguf");
    std::fs::write(&page, "<!DOCTYPE html><title>Sign in</title>").unwrap();
    for (model, word) in
        [("nothing.gguf", "does not exist"), (page.to_str().unwrap(), "a web page"), ("no-such", "not installed")]
    {
        let (code, report) = json(&home, |command| {
            command.args(["--model", model]);
        });
        assert_eq!((code, states(&report, "model")), (1, vec!["broken"]), "{model}");
        assert!(report.to_string().contains(word), "{word}: {report}");
    }
    let unfinished = home.path().join("data/models/half");
    std::fs::create_dir_all(&unfinished).unwrap();
    assert_eq!(states(&json(&home, |_| {}).1, "models"), ["ok", "warning"]);
}
