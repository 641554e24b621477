//! What lines of code look like that tamper with their tests: patterns, what each may mean, and whether it is strong. Only
//! data; `scan.rs` looks for them in the lines that a change adds.

/// What a line says, what that may mean, whether it is strong, and the endings of the files that it is looked for in (all
/// where there is none).
pub(super) type Pattern = (&'static str, &'static str, bool, &'static [&'static str]);

const PYTHON: &[&str] = &["py", "pyi"];
const NODE: &[&str] = &["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"];
const C: &[&str] = &["c", "h", "cc", "cpp", "cxx", "hpp", "hh", "hxx", "ipp", "inl"];
const RUST: &[&str] = &["rs"];
const GO: &[&str] = &["go"];
const JVM: &[&str] = &["java", "kt", "scala", "groovy"];
const SHELL: &[&str] = &["sh", "bash"];
const ALL: &[&str] = &[];

const ASKS: &str = "asks whether it is being tested";
const CALLER: &str = "asks who calls it";
const REPLACES: &str = "replaces an assertion";
const MODULES: &str = "changes modules of others";
const IMPORTS: &str = "imports a test framework from code that is no test";
const RUNNER: &str = "reaches for the test runner";
const HIDES: &str = "puts a name together that it does not want to say";
const COMPARES: &str = "defines comparisons";
const ENDS: &str = "ends the process";

pub(super) const SIGNS: &[Pattern] = &[
    // How the process ends.
    (
        r"\bos\._exit\b|\bsys\.exit\s*\(\s*0?\s*\)|\b(quit|exit)\s*\(\s*0?\s*\)",
        "ends the process with success",
        false,
        ALL,
    ),
    (
        r"process\.(exit|reallyExit|abort)\b|process::exit\b|syscall\.Exit\b|Runtime\.\w*\.?halt\b|System\.exit\b",
        ENDS,
        false,
        ALL,
    ),
    (r"\b_Exit\s*\(|\bquick_exit\s*\(", ENDS, false, C),
    (
        r"\batexit\b|addShutdownHook|process\.on\(\s*['\x22](exit|beforeExit)|__attribute__\s*\(\(\s*(con|de)structor",
        "acts when the process begins or ends",
        false,
        ALL,
    ),
    (
        r"\bos\.exec[lv]\w*\s*\(|\.exec\(\)\s*;|\blibc::execv?\w*|\bexec[lv]p?e?\s*\(|syscall\.Exec\b|CommandExt",
        "replaces the process by another program",
        true,
        ALL,
    ),
    // Frames, memory, descriptors.
    (
        r"\b_getframe\b|\bgc\.get_(objects|referrers)\b|\bsettrace\b|\bsetprofile\b",
        "looks into the frames of its callers",
        true,
        ALL,
    ),
    (
        r"\binspect\.(stack|currentframe|getouterframes)\b|\btraceback\.(extract_stack|walk_stack)\b",
        CALLER,
        false,
        PYTHON,
    ),
    (
        r"\b(inspect\.(stack|currentframe|getouterframes)|extract_stack|walk_stack)\b.*(==|!=|\bin\b|startswith|endswith|\bmatch)",
        ASKS,
        true,
        PYTHON,
    ),
    (
        r"\.stack\b.*(['\x22`][^'\x22`]*(\btest|\.spec|mocha|jest|vitest|node:internal)|/[^/]*\b(mocha|jest|vitest)\b[^/]*/)",
        ASKS,
        true,
        NODE,
    ),
    (r"\bruntime\.Callers?\(|\bdebug\.Stack\(\)", CALLER, false, GO),
    (r"thread::current\(\)\s*\.name\(\)|\bcurrent_exe\(", ASKS, false, RUST),
    (r"thread::current\(\)\s*\.name\(\).*tests?::|\bcurrent_exe\(.*deps", ASKS, true, RUST),
    (r"\bctypes\b|\b_ctypes\b", "reaches into memory", false, ALL),
    (
        r"\bos\.(write|fdopen|dup2?)\s*\(\s*[34]\b|/proc/(self|\d|\{|thread-self)|fs\.writeSync\s*\(\s*[34]\b|from_raw_fd\s*\(\s*[34]\b",
        "writes to descriptors that it did not open",
        true,
        ALL,
    ),
    // The test framework in code that is no test.
    (
        r"\b(import|from)\s+(pytest|_pytest|unittest)\b|require\(\s*['\x22](node:test|@jest/globals|vitest|mocha|chai|ava|tape|tap|uvu)['\x22/]|from\s+['\x22](node:test|vitest|@jest/globals|chai|ava|tape|uvu|bun:test)['\x22/]",
        IMPORTS,
        true,
        ALL,
    ),
    (r"['\x22]org\.junit|^\s*import\s+(static\s+)?org\.(junit|testng|mockito)", IMPORTS, true, JVM),
    (r#"^\s*(import\s+)?(\w+\s+)?"testing"\s*$"#, IMPORTS, false, GO),
    (r"\b_pytest\b", RUNNER, true, PYTHON),
    (
        r"\b(import_module|__import__|find_spec)\s*\(\s*['\x22](_?pytest|unittest|nose|doctest|builtins)\b",
        RUNNER,
        true,
        PYTHON,
    ),
    (
        r"\b(global|globalThis|window)\.(it|describe|test|expect|beforeEach|afterEach|suite|specify|jest|vi|mocha)\b|\btypeof\s+(describe|jest|vi|beforeEach|mocha)\b|\btypeof\s+(it|expect)\s*[!=]==?\s*['\x22](function|undefined)",
        RUNNER,
        true,
        NODE,
    ),
    (r"\bflag\.(Set|Lookup)\(\s*['\x22`]test\.|['\x22`]-test\.\w+", RUNNER, true, GO),
    (r"^\s*TEST_RUNNER\s*=", "says how tests are run", true, PYTHON),
    // Assertions.
    (r"require\(\s*['\x22](node:)?assert|from\s+['\x22](node:)?assert", "uses the assertions of tests", false, ALL),
    (
        r"(^|[^.\w]|\bchai\.)assert(\.strict)?\.\w+\s*=[^=>]|Assert\.\w+\s*=[^=>]|prototype\.(toBe|toEqual|toStrictEqual)\s*=|\bexpect\.extend\s*\(",
        REPLACES,
        true,
        ALL,
    ),
    (
        r"require\(\s*['\x22](node:)?(assert|test|chai|should)(/\w+)?['\x22]\s*\)(\.\w+)*(\.\w+|\[[^\]]*\])\s*=[^=>]|\b(assign|defineProperty|defineProperties|Reflect\.set|setPrototypeOf)\(\s*require\(\s*['\x22](node:)?(assert|test|chai|should)",
        REPLACES,
        true,
        NODE,
    ),
    (r"(^|[;{(])\s*expect\s*=[^=>]|\b(global|globalThis)\.expect\s*=[^=>]", REPLACES, true, NODE),
    (r"macro_rules!\s*(assert|assert_eq|assert_ne|panic)\b", REPLACES, true, RUST),
    (
        r"^\s*#\s*(define|undef)\s+(NDEBUG|assert|static_assert|(EXPECT|ASSERT)_(EQ|NE|TRUE|FALSE|LT|LE|GT|GE|STREQ|STRNE|NEAR|THAT|DEATH|\w*EQUAL\w*)|TEST_(ASSERT\w*|CASE\w*|F|P|EQUAL\w*|FAIL\w*)|REQUIRE(_\w+)?|RUN_TEST|(cr|ck|mu|munit|g)_assert\w*|test_cond)\b",
        REPLACES,
        true,
        C,
    ),
    (
        r"^\s*#\s*define\s+(main|exit|_exit|abort|printf|fprintf|puts|putchar|strcmp|strncmp|memcmp|return|if|else|\w*tests?_?(failed|passed|run)|\w*(failed|passed)_tests?|\w*num_fail\w*)\b",
        "gives a name that tests use another meaning",
        true,
        C,
    ),
    (r"\bif\s*\(\s*0\s*\)\s*\{?\s*\\\s*$", "has a macro that never does what it says", true, C),
    (r"#\s*if(n?def)?\b.*\b(UNIT_TEST|TESTING|UNITY_\w+|DOCTEST_\w+|CATCH_\w+|GTEST_\w+)\b", ASKS, false, C),
    (r"\bgetenv\(\s*['\x22](CTEST|GTEST|CK_|BATS|MESON_TEST)", ASKS, true, C),
    // Comparisons.
    (
        r"def\s+__(eq|ne|lt|le|gt|ge|contains|bool)__\s*\([^)]*\)[^:]*:\s*(return\s+True|\.\.\.)?\s*$|__eq__\s*=\s*lambda[^:]*:\s*True",
        COMPARES,
        false,
        ALL,
    ),
    (r"impl\b[^{;]*\bPartialEq\b", COMPARES, false, ALL),
    (r"\bSymbol\.toPrimitive\b|\bvalueOf\s*(:|\(\s*\)\s*\{|=[^=])", COMPARES, false, NODE),
    (
        r"\bObject\.is\s*=[^=]|\b(Object|Array|String|Number|Map|Set)\.prototype\.\w+\s*=[^=]",
        "changes what is built in",
        false,
        NODE,
    ),
    // Questions whether it is being tested.
    (
        r"PYTEST_CURRENT_TEST|PYTEST_VERSION|PYTEST_XDIST|NODE_TEST_CONTEXT|JEST_WORKER_ID|VITEST_\w+|import\.meta\.vitest|CARGO_TARGET_TMPDIR|NEXTEST|\bCTEST_\w+|\bBATS_TEST_\w+|\bBATS_RUN_\w+",
        ASKS,
        true,
        ALL,
    ),
    (r"\benv\.VITEST\b|\benv\[['\x22]VITEST['\x22]\]|\benv\.MOCHA\w*\b", ASKS, true, NODE),
    (
        r"\bNODE_ENV\b['\x22\]]*\s*[=!]==?\s*['\x22`]test|['\x22`]test['\x22`]\s*[=!]==?\s*\S*\bNODE_ENV\b|['\x22`]test['\x22`].*\.includes\(\s*\S*NODE_ENV|npm_lifecycle_(event|script).*test",
        ASKS,
        true,
        NODE,
    ),
    (
        r"['\x22](_?pytest|unittest|nose|doctest|mocha|jest)[\w.]*['\x22]\s+(not\s+)?in\s+(sys\.)?(modules|argv)",
        ASKS,
        true,
        PYTHON,
    ),
    (
        r"['\x22][^'\x22]*test[^'\x22]*['\x22]\s+(not\s+)?in\b.*\bsys\.argv|\bsys\.argv(\[0\])?\b.*\b(endswith|find|count|startswith)\(\s*['\x22][^'\x22]*test|\bsys\.argv\b.*['\x22][^'\x22]*(pytest|unittest)",
        ASKS,
        true,
        PYTHON,
    ),
    (r#"\bcfg!\s*\((?:[^")]|"[^"]*"|\w+\([^)]*\))*\btest\b"#, ASKS, true, RUST),
    (
        r"\bos\.Args\b.*['\x22`][^'\x22`]*\.test|['\x22`]\.test['\x22`].*\bos\.Args\b|\btesting\.Testing\(\)",
        ASKS,
        true,
        GO,
    ),
    // Modules of others, names that are hidden.
    (
        r"sys\.modules\s*\[\s*['\x22](pytest|_pytest|unittest|__main__|builtins)|builtins\.\w+\s*=[^=]|__builtins__",
        MODULES,
        true,
        ALL,
    ),
    (
        r"sys\.modules\.(get|pop|setdefault)\(\s*['\x22](pytest|_pytest|unittest|__main__|builtins|doctest)|\bsys\.modules\.(items|values|copy)\(|\bfor\b.*\bin\s+sys\.modules\s*([:)\]]|$)|\b(list|dict|sorted|tuple|set|iter)\(\s*sys\.modules\s*\)",
        MODULES,
        true,
        PYTHON,
    ),
    (
        r"\bModule\._(load|resolveFilename|extensions|compile)\b.*=[^=>]|\bModule\.prototype\.\w+\s*=[^=]|\brequire\.(cache|extensions)\[[^\]]*\]\s*(\.\w+\s*)*=[^=]",
        MODULES,
        true,
        NODE,
    ),
    (
        r"\bdefineProperty\(\s*(process|globalThis|global)\s*,\s*['\x22](exit|exitCode|reallyExit)",
        "changes how the process ends",
        true,
        NODE,
    ),
    (
        r"\b(getattr|setattr|import_module|__import__|find_spec)\s*\(.*['\x22]\s*(\+\s*['\x22]|\[\s*::)|\bsys\.modules(\.get\(|\[).*['\x22]\s*\+\s*['\x22]|\b(os|sys|builtins)\.__dict__\s*\[|\bvars\(\s*(os|sys|builtins)\s*\)",
        HIDES,
        true,
        PYTHON,
    ),
    (
        r"\bgetattr\(\s*(os|sys|builtins|__builtins__|posix)\s*,\s*(f['\x22]|[^'\x22,)]*\(|[^)]*(\+|\.join|%|\.format|\bchr\b)|\w+\s*\)\s*\()",
        HIDES,
        true,
        PYTHON,
    ),
    (
        r"\bprocess\[\s*[^'\x22`\]][^\]]*\]\s*\(|\b(process|globalThis|global|require)\[\s*([^\]]*(\+|\bconcat\b|\bjoin\b|\$\{|fromCharCode|\batob\b)|\[)",
        HIDES,
        true,
        NODE,
    ),
    (r"(^|[^.\w])(eval|Function)\s*\(.*['\x22`]\s*\+\s*['\x22`]", HIDES, true, NODE),
    (r"(^|[^.\w])(eval|exec)\s*\(.*['\x22]\s*\+\s*['\x22]", HIDES, true, PYTHON),
    (r"#\[\s*(unsafe\s*\(\s*)?(no_mangle|export_name|link_section|used)", "replaces a symbol", false, ALL),
    // What only runners and judges write.
    (
        r"test result: (ok|FAILED)|running \d+ tests?\b|['\x22]test \S+ \.\.\. ok|--- PASS:|['\x22`]TAP version|['\x22`]ok 1 -|['\x22]# pass \d",
        "prints what a test runner prints",
        true,
        ALL,
    ),
    (
        r"\.z1/|report\.(json|xml)\b.*(write|open)|z1_(channel|parts|pytest|unittest)",
        "writes where the judge reads",
        true,
        ALL,
    ),
    (r"['\x22/]tests?/[\w/.-]*\.(py|js|ts|rs|go)\b|\btest_\w+\.py\b|\bconftest\.py\b", "names test files", false, ALL),
    (r"pytest\.(skip|exit|xfail)|SkipTest|\.skip\(\s*\)|t\.Skip\b|#\[ignore", "skips tests", false, ALL),
    // A shell's own words with another meaning.
    (
        r"^\s*(function\s+)?(\[|test|exit|return|false|true|diff|cmp|grep|set|assert(_?(eq|equals?|equal|true|false|ne|contains|success|failure|output|match\w*|empty))?)\s*\(\)|^\s*function\s+(\[|test|exit|return|false|true|diff|cmp|grep|set|assert\w*)\b|\balias\s+(\[|test|exit|false|diff|cmp|grep)=",
        "gives a word that tests use another meaning",
        true,
        SHELL,
    ),
];
