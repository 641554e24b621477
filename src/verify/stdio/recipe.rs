//! How a single-file program of each language is built and started. Pure.

use crate::task::Language;

/// The name of what a compiler makes.
pub(crate) const ARTEFACT: &str = "z1_program";

/// Arguments behind the tool of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// The file that the source is written to.
    pub(crate) file: String,
    /// Arguments that compile it to [`ARTEFACT`]; `None` where it is run as it is.
    pub(crate) compile: Option<Vec<String>>,
    /// Arguments that run the source (not used where there is an artefact).
    pub(crate) run: Vec<String>,
}

/// The recipe for a program that reads stdin and writes stdout.
pub(crate) fn program(language: Language, source: &str) -> Recipe {
    let compiled = |file: &str, args: &[&str]| Recipe {
        file: file.to_owned(),
        compile: Some(args.iter().map(|arg| (*arg).to_owned()).collect()),
        run: Vec::new(),
    };
    let run = |file: &str, args: &[&str]| Recipe {
        file: file.to_owned(),
        compile: None,
        run: args.iter().map(|arg| (*arg).to_owned()).collect(),
    };
    match language {
        Language::Python => run("main.py", &["-I", "-B", "main.py"]),
        Language::JavaScript => run("main.js", &["--no-warnings", "main.js"]),
        Language::TypeScript => run("main.ts", &["--no-warnings", "--experimental-strip-types", "main.ts"]),
        Language::Shell => run("main.sh", &["main.sh"]),
        Language::Java => {
            let file = format!("{}.java", java_class(source));
            let args = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx512m", &file];
            run(&file, &args)
        }
        Language::C => {
            compiled("main.c", &["-std=gnu17", "-O2", "-w", "-fmax-errors=5", "-o", ARTEFACT, "main.c", "-lm"])
        }
        Language::Cpp => {
            compiled("main.cpp", &["-std=gnu++17", "-O2", "-w", "-fmax-errors=5", "-o", ARTEFACT, "main.cpp"])
        }
        Language::Rust => compiled(
            "main.rs",
            &["--edition", "2021", "-C", "opt-level=1", "--cap-lints", "allow", "-o", ARTEFACT, "main.rs"],
        ),
        Language::Go => compiled("main.go", &["build", "-o", ARTEFACT, "main.go"]),
    }
}

/// The recipe for a Rust file with a module of tests.
pub(crate) fn rust_tests() -> Recipe {
    let args = ["--edition", "2021", "--test", "-C", "debuginfo=0", "--cap-lints", "allow", "-o", ARTEFACT, "main.rs"];
    Recipe {
        file: "main.rs".to_owned(),
        compile: Some(args.iter().map(|arg| (*arg).to_owned()).collect()),
        run: Vec::new(),
    }
}

/// The public class of a Java file, which names the file.
fn java_class(source: &str) -> &str {
    let after = |mark: &str| {
        let rest = &source[source.find(mark)? + mark.len()..];
        let rest = rest.trim_start();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    };
    after("public class ").or_else(|| after("public final class ")).unwrap_or("Main")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_files_are_named_for_their_public_class() {
        assert_eq!(program(Language::Java, "import x;\npublic class Two {\n").file, "Two.java");
        assert_eq!(program(Language::Java, "class A {}").file, "Main.java");
    }

    #[test]
    fn every_language_has_a_recipe_that_uses_its_file() {
        for language in Language::ALL {
            let recipe = program(language, "");
            let args = recipe.compile.as_ref().unwrap_or(&recipe.run);
            assert!(args.contains(&recipe.file), "{language:?}");
        }
    }
}
