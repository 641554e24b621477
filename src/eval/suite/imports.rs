//! What a problem's own code imports that Python does not bring with it.

use crate::task::{Check, Language};
use crate::verify::suites::Problem;

/// Modules of Python's standard library (3.8 to 3.13), without those whose names begin with `_`.
const STANDARD: &str = "abc aifc antigravity argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb \
    binascii bisect builtins bz2 cProfile calendar cgi cgitb chunk cmath cmd code codecs codeop collections colorsys \
    compileall concurrent configparser contextlib contextvars copy copyreg crypt csv ctypes curses dataclasses datetime \
    dbm decimal difflib dis distutils doctest email encodings ensurepip enum errno faulthandler fcntl filecmp fileinput \
    fnmatch fractions ftplib functools gc genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac \
    html http idlelib imaplib imghdr imp importlib inspect io ipaddress itertools json keyword lib2to3 linecache locale \
    logging lzma mailbox mailcap marshal math mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc nis nntplib \
    nt ntpath nturl2path numbers opcode operator optparse os ossaudiodev pathlib pdb pickle pickletools pipes pkgutil \
    platform plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat \
    queue quopri random re readline reprlib resource rlcompleter runpy sched secrets select selectors shelve shlex shutil \
    signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat \
    statistics string stringprep struct subprocess sunau symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile \
    termios textwrap this threading time timeit tkinter token tokenize tomllib trace traceback tracemalloc tty turtle \
    turtledemo types typing unicodedata unittest urllib uu uuid venv warnings wave weakref webbrowser winreg winsound \
    wsgiref xdrlib xml xmlrpc zipapp zipfile zipimport zlib zoneinfo __future__ __main__";

/// The packages of third parties that the problem's tests and reference need; empty where there are none.
pub fn third_party(problem: &Problem) -> Vec<String> {
    if problem.language != Language::Python {
        return Vec::new();
    }
    let tests = problem.checks.iter().filter_map(|check| match check {
        Check::Asserts { source, .. } | Check::TestSource { source, .. } => Some(source.as_str()),
        Check::Stdio { .. } | Check::Command { .. } => None,
    });
    let code = ["code", "complete"].into_iter().filter_map(|name| problem.texts.get(name).map(String::as_str));
    let mut found: Vec<String> = tests.chain(code).chain(problem.canonical.as_deref()).flat_map(imported).collect();
    found.retain(|name| !name.starts_with('_') && !STANDARD.split_whitespace().any(|known| known == name));
    found.sort();
    found.dedup();
    found
}

/// The top-level packages that Python source imports.
fn imported(source: &str) -> Vec<String> {
    let package = |path: &str| path.trim().split(['.', ' ']).next().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("from ") {
            if let Some((path, _)) = rest.split_once(" import ")
                && !path.starts_with('.')
            {
                found.push(package(path));
            }
        } else if let Some(rest) = line.strip_prefix("import ") {
            let rest = rest.split('#').next().unwrap_or(rest);
            found.extend(rest.split(',').map(package));
        }
    }
    let is_name = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    found.retain(is_name);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_python_lacks_is_named() {
        let found =
            imported("import os, numpy as np\n  from sklearn.svm import SVC\nfrom . import x\nimport a.b  # c\n");
        assert_eq!(found, ["os", "numpy", "sklearn", "a"]);
        assert!(STANDARD.split_whitespace().any(|name| name == "zoneinfo"));
    }
}
