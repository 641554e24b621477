//! What the recipes of a Makefile or a Justfile run for a target. Pure; only what is needed to follow a check: plain rules,
//! plain variables. What cannot be read is left out.

use std::collections::{BTreeMap, BTreeSet};

/// The lines of a file's recipes for these targets (its first one where there are none), and of targets that they need and
/// that stand for an action; what builds a file is no part of the check.
pub(super) fn lines(text: &str, targets: &[&str], is_just: bool) -> Vec<String> {
    let read = Read::of(text, is_just);
    let mut next: Vec<String> = targets.iter().map(|target| (*target).to_owned()).collect();
    if next.is_empty() {
        next.extend(read.first.clone());
    }
    let mut seen = BTreeSet::new();
    let mut lines = Vec::new();
    while let Some(target) = next.pop() {
        let Some(rule) = read.rules.get(&target) else { continue };
        if !seen.insert(target.clone()) {
            continue;
        }
        next.extend(rule.needs.iter().filter(|need| read.is_action(need)).cloned());
        lines.extend(rule.lines.iter().map(|line| read.expanded(line, &target)));
    }
    lines
}

#[derive(Default)]
struct Rule {
    needs: Vec<String>,
    lines: Vec<String>,
}

#[derive(Default)]
struct Read {
    rules: BTreeMap<String, Rule>,
    variables: BTreeMap<String, String>,
    phony: BTreeSet<String>,
    first: Option<String>,
    is_just: bool,
}

impl Read {
    fn of(text: &str, is_just: bool) -> Self {
        let mut read = Self { is_just, ..Self::default() };
        let mut open: Vec<String> = Vec::new();
        for line in text.replace("\\\n", " ").lines() {
            let is_recipe = line.starts_with('\t') || (is_just && line.starts_with(' '));
            if is_recipe {
                read.add(&open, line.trim().trim_start_matches(['@', '-', '+', ' ']));
                continue;
            }
            let line = line.split(" #").next().unwrap_or(line).trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            open = read.head(line);
        }
        read
    }

    fn add(&mut self, open: &[String], line: &str) {
        for target in open {
            if let Some(rule) = self.rules.get_mut(target) {
                rule.lines.push(line.to_owned());
            }
        }
    }

    /// A line that is no recipe's: a variable, or the head of a rule, whose targets come back.
    fn head(&mut self, line: &str) -> Vec<String> {
        let colon = line.find(':').unwrap_or(line.len());
        let equals = line.find('=').unwrap_or(line.len());
        // `NAME := value` has its colon right before the sign.
        if equals < line.len() && (equals < colon || line[colon..equals].trim_start_matches(':').is_empty()) {
            let name = line[..equals].trim_end_matches([':', '?', '+', ' ', '!']).trim();
            let name = name.strip_prefix("export ").unwrap_or(name);
            self.variables.entry(name.to_owned()).or_insert_with(|| line[equals + 1..].trim().to_owned());
            return Vec::new();
        }
        if colon == line.len() {
            return Vec::new();
        }
        let (heads, rest) = (&line[..colon], line[colon..].trim_start_matches(':'));
        let (needs, inline) = rest.split_once(';').map_or((rest, None), |(needs, line)| (needs, Some(line)));
        let words = |text: &str| -> Vec<String> {
            let text = self.expanded(text, "");
            text.split_whitespace().filter(|word| *word != "|").map(str::to_owned).collect()
        };
        let (mut targets, needs) = (words(heads), words(needs));
        if self.is_just {
            // Behind a recipe's name stand its parameters.
            targets.truncate(1);
        }
        if targets.iter().any(|target| target == ".PHONY") {
            self.phony.extend(needs);
            return Vec::new();
        }
        for target in &targets {
            if self.first.is_none() && !target.starts_with('.') && !target.contains('%') {
                self.first = Some(target.clone());
            }
            self.rules.entry(target.clone()).or_default().needs.extend(needs.iter().cloned());
        }
        if let Some(line) = inline {
            self.add(&targets, line.trim());
        }
        targets
    }

    /// Whether a target stands for something to do, and not for a file to make.
    fn is_action(&self, target: &str) -> bool {
        const WORDS: [&str; 7] = ["test", "check", "spec", "verify", "unit", "integration", "lint"];
        self.is_just || self.phony.contains(target) || WORDS.iter().any(|word| target.contains(word))
    }

    /// The text with what is known of its variables.
    fn expanded(&self, text: &str, target: &str) -> String {
        const STEPS_MAX: usize = 30;
        const LENGTH_MAX: usize = 4_000;
        let mut text = text.replace("$@", target).replace("$(MAKE)", "make").replace("${MAKE}", "make");
        for _ in 0..STEPS_MAX {
            let known = self.variables.iter().find_map(|(name, value)| {
                let forms = [format!("$({name})"), format!("${{{name}}}"), format!("{{{{{name}}}}}")];
                forms.into_iter().find(|form| text.contains(form)).map(|form| (form, value))
            });
            let Some((form, value)) = known.filter(|_| text.len() < LENGTH_MAX) else { break };
            text = text.replace(&form, value);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_s_lines_and_those_of_the_actions_that_it_needs() {
        let text = "X := 1\nSH ?= bash\n.PHONY: prepare\nbuild/a.o: a.c\n\tcc a.c\ntest: build/a.o prepare check-all; ./inline\n\t@$(SH) ./run \\\n\t  -v # no\ncheck-all:\n\t$(MAKE) -C sub test\nprepare:\n\t-./prepare\n";
        let mut found = lines(text, &["test"], false);
        found.sort();
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].starts_with("./inline") && found[1] == "./prepare", "{found:?}");
        assert!(found[2].starts_with("bash ./run") && found[3] == "make -C sub test", "{found:?}");
        assert_eq!(lines(text, &[], false), ["cc a.c"], "the first one");
        assert!(lines(text, &["other"], false).is_empty());
    }

    #[test]
    fn a_variable_that_holds_itself_comes_to_an_end() {
        assert_eq!(lines("A = $(A) $(A)\nt:\n\t$(A)\n", &["t"], false).len(), 1);
    }
}
