//! Scripts of `package.json`, as a check runs them: by name, in a package's folder or in all of a workspace.

use super::named::{Walk, join};

impl Walk<'_> {
    pub(super) fn package_manager(&mut self, folder: &str, name: &str, words: &[&str]) {
        let mut folders = vec![folder.to_owned()];
        let mut plain: Vec<&str> = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--" => break,
                "--prefix" | "-C" | "--dir" | "--cwd" => {
                    folders = words.next().and_then(|to| join(folder, to)).into_iter().collect();
                }
                "--workspaces" | "-ws" | "-r" | "--recursive" | "-w" | "--workspace" | "--filter" => {
                    folders.extend(self.workspaces(folder));
                }
                word if word.starts_with("--workspace=") => folders.extend(self.workspaces(folder)),
                word if word.starts_with('-') => {}
                word => plain.push(word),
            }
        }
        let script = match plain[..] {
            ["t" | "tst" | "test", ..] => "test",
            ["run" | "run-script", script, ..] => script,
            [script, ..] if name != "npm" => script,
            _ => return,
        };
        for folder in folders {
            self.script(&folder, script);
        }
    }

    /// The folders of a project's own packages.
    fn workspaces(&self, folder: &str) -> Vec<String> {
        let package = self.package(folder);
        let listed = package["workspaces"].as_array().or_else(|| package["workspaces"]["packages"].as_array());
        let mut all = Vec::new();
        for pattern in listed.into_iter().flatten().filter_map(|value| value.as_str()) {
            match pattern.split_once("/*") {
                Some((inside, _)) => all.extend(join(folder, inside).into_iter().flat_map(|inside| {
                    (self.files.folders)(&inside).into_iter().filter_map(move |name| join(&inside, &name))
                })),
                None => all.extend(join(folder, pattern)),
            }
        }
        all
    }

    fn package(&self, folder: &str) -> serde_json::Value {
        let text = join(folder, "package.json").and_then(|path| (self.files.read)(&path)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Follows a script of a `package.json`, and what npm runs before and after it; `build:*` are all of those.
    pub(super) fn script(&mut self, folder: &str, name: &str) {
        let package = self.package(folder);
        let scripts = package["scripts"].as_object();
        let fits = |known: &str| match name.strip_suffix('*') {
            Some(start) => known.starts_with(start),
            None => known == name || known.strip_prefix("pre").or(known.strip_prefix("post")) == Some(name),
        };
        let texts =
            scripts.into_iter().flatten().filter(|(known, _)| fits(known)).filter_map(|(_, text)| text.as_str());
        for text in texts.map(str::to_owned).collect::<Vec<_>>() {
            self.text(folder, &text);
        }
    }
}
