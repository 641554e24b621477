//! Signs of Unicode in the spelling of LaTeX.

const FRACTIONS: [(char, &str); 18] = [
    ('½', "12"),
    ('⅓', "13"),
    ('⅔', "23"),
    ('¼', "14"),
    ('¾', "34"),
    ('⅕', "15"),
    ('⅖', "25"),
    ('⅗', "35"),
    ('⅘', "45"),
    ('⅙', "16"),
    ('⅚', "56"),
    ('⅐', "17"),
    ('⅛', "18"),
    ('⅜', "38"),
    ('⅝', "58"),
    ('⅞', "78"),
    ('⅑', "19"),
    ('↉', "03"),
];
const GREEK: [(char, &str); 18] = [
    ('α', "alpha"),
    ('β', "beta"),
    ('γ', "gamma"),
    ('δ', "delta"),
    ('ε', "epsilon"),
    ('ζ', "zeta"),
    ('η', "eta"),
    ('θ', "theta"),
    ('λ', "lambda"),
    ('ξ', "xi"),
    ('ρ', "rho"),
    ('σ', "sigma"),
    ('τ', "tau"),
    ('φ', "phi"),
    ('ψ', "psi"),
    ('ω', "omega"),
    ('Δ', "Delta"),
    ('Ω', "Omega"),
];
const RAISED: [(char, char); 16] = [
    ('⁰', '0'),
    ('¹', '1'),
    ('²', '2'),
    ('³', '3'),
    ('⁴', '4'),
    ('⁵', '5'),
    ('⁶', '6'),
    ('⁷', '7'),
    ('⁸', '8'),
    ('⁹', '9'),
    ('⁺', '+'),
    ('⁻', '-'),
    ('⁽', '('),
    ('⁾', ')'),
    ('ⁿ', 'n'),
    ('ˣ', 'x'),
];

/// The text with fractions, powers and indices in LaTeX, and one sign for all of one meaning.
pub(super) fn spelled_out(text: &str) -> String {
    let mut spelled = String::with_capacity(text.len());
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        if let Some(first) = raised(sign) {
            spelled.push_str("^{");
            spelled.push(first);
            while let Some(next) = signs.peek().copied().and_then(raised) {
                spelled.push(next);
                signs.next();
            }
            spelled.push('}');
        } else if let Some(first) = lowered(sign) {
            spelled.push_str("_{");
            spelled.push(first);
            while let Some(next) = signs.peek().copied().and_then(lowered) {
                spelled.push(next);
                signs.next();
            }
            spelled.push('}');
        } else {
            push(sign, &mut spelled);
        }
    }
    spelled
}

fn raised(sign: char) -> Option<char> {
    RAISED.iter().find(|(from, _)| *from == sign).map(|(_, to)| *to)
}

fn lowered(sign: char) -> Option<char> {
    let digit = u32::from(sign).checked_sub(u32::from('₀')).filter(|digit| *digit < 10)?;
    char::from_digit(digit, 10)
}

fn push(sign: char, spelled: &mut String) {
    if let Some((_, digits)) = FRACTIONS.iter().find(|(from, _)| *from == sign) {
        let (up, down) = digits.split_at(1);
        spelled.push_str(&format!("\\frac{{{up}}}{{{down}}}"));
        return;
    }
    if let Some((_, name)) = GREEK.iter().find(|(from, _)| *from == sign) {
        spelled.push_str(&format!("\\{name} "));
        return;
    }
    let plain = match sign {
        '−' | '–' | '‒' | '﹣' | '－' => '-',
        '×' | '·' | '⋅' | '∙' | '•' | '∗' | '＊' => '*',
        '÷' | '∕' | '⁄' | '／' => '/',
        '′' | '’' | '‘' => '\'',
        '“' | '”' => '"',
        '≦' => '≤',
        '≧' => '≥',
        '，' | '、' => ',',
        '（' => '(',
        '）' => ')',
        '＝' => '=',
        '＋' => '+',
        '％' => '%',
        '⟨' | '〈' => '(',
        '⟩' | '〉' => ')',
        'º' | '∘' => '°',
        'ø' | 'Ø' => '∅',
        'μ' => 'µ',
        // Marks that this reader uses itself mean nothing in an answer.
        '⟦' | '⟧' | '⏎' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => return,
        '０'..='９' => char::from_digit(u32::from(sign) - u32::from('０'), 10).unwrap_or('0'),
        _ if sign.is_whitespace() => ' ',
        other => other,
    };
    spelled.push(plain);
}
