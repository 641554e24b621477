//! Whether two answers mean the same.

use super::expr::{self, Expr, Parsed};
use super::form::Form;
use super::number::Value;
use super::relation::{Head, Relation};
use super::sets;

/// Whether an answer that is said means what the right one does.
pub(super) fn equal(gold: &Form, said: &Form) -> bool {
    match (gold, said) {
        (Form::Value(a), Form::Value(b)) => expr::equal(a, b),
        (Form::Name(a), Form::Name(b)) => a == b,
        (Form::Tuple(open, a, close), Form::Tuple(other, b, end)) => {
            // Three and more are no interval, and their brackets say nothing.
            (a.len() > 2 || (open, close) == (other, end)) && in_order(a, b)
        }
        (Form::Matrix(a), Form::Matrix(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| in_order(a, b)),
        (Form::Relation(a), Form::Relation(b)) => {
            let regions = sets::is_region(gold) && sets::is_region(said);
            relations(a, b) || regions && same_names(a, b) && sets::same(gold, said)
        }
        (Form::Clock(hour, minute, half), Form::Clock(other, past, of)) => {
            (hour, minute) == (other, past) && (half == of || half.is_none() || of.is_none())
        }
        (Form::Modulo(a, modulus), Form::Modulo(b, other)) => expr::equal(modulus, other) && congruent(a, b, modulus),
        (Form::Modulo(value, _), Form::Value(other)) => expr::equal(value, other),
        (Form::Value(value), Form::Modulo(other, _)) => expr::equal(value, other),
        (Form::Ratio(a), Form::Ratio(b)) => proportions(a, b),
        (Form::Ratio(parts), Form::Value(value)) => quotient(parts).is_some_and(|ratio| expr::equal(&ratio, value)),
        (Form::Value(value), Form::Ratio(parts)) => quotient(parts).is_some_and(|ratio| expr::equal(value, &ratio)),
        (Form::Choice(a, one), Form::Choice(b, other)) => a == b && equal(one, other),
        (Form::Choice(letter, value), other) => is_letter(*letter, other) || equal(value, other),
        (other, Form::Choice(letter, value)) => is_letter(*letter, other) || equal(other, value),
        _ if sets::is_region(gold) || sets::is_region(said) => regions(gold, said),
        (Form::Several(a), Form::Several(b)) => matched(a, b),
        // A point written as a list, or with other brackets.
        (Form::Tuple('(', a, ')'), Form::Several(b)) => in_order(a, &by_name(b)),
        (Form::Several(a), Form::Tuple('(', b, ')')) => in_order(&by_name(a), b),
        (Form::Tuple(_, items, _), Form::Matrix(rows)) => as_rows(rows, items, &equal_swapped),
        (Form::Matrix(rows), Form::Tuple(_, items, _)) => as_rows(rows, items, &equal),
        (Form::Relation(relation), other) => names_it(relation, false) && last(relation, |last| equal(last, other)),
        (other, Form::Relation(relation)) => names_it(relation, true) && last(relation, |last| equal(other, last)),
        // One answer, in more than one notation.
        (Form::Several(items), one) => !items.is_empty() && items.iter().all(|item| equal(item, one)),
        (one, Form::Several(items)) => !items.is_empty() && items.iter().all(|item| equal(one, item)),
        _ => false,
    }
}

fn equal_swapped(said: &Form, gold: &Form) -> bool {
    equal(gold, said)
}

fn in_order(a: &[Form], b: &[Form]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
}

/// Whether both have the same items, however often.
fn matched(a: &[Form], b: &[Form]) -> bool {
    a.iter().all(|item| b.iter().any(|other| equal(item, other)))
        && b.iter().all(|other| a.iter().any(|item| equal(item, other)))
}

/// `y = 1, x = 2` in the order of the names, as the point has its coordinates.
fn by_name(items: &[Form]) -> Vec<Form> {
    let name = |item: &Form| match item {
        Form::Relation(Relation { head: Head::Variable(name), signs, .. }) if signs == &['='] => Some(name.clone()),
        _ => None,
    };
    let mut named: Vec<(Option<String>, Form)> = items.iter().map(|item| (name(item), item.clone())).collect();
    let coordinates = |names: &str| {
        named.iter().all(|(name, _)| name.as_ref().is_some_and(|name| name.len() == 1 && names.contains(name.as_str())))
    };
    if ["xyzw", "abcdefg", "pqrs"].into_iter().any(coordinates) {
        named.sort_by(|a, b| a.0.cmp(&b.0));
    }
    named.into_iter().map(|(_, item)| item).collect()
}

/// A vector as a list, a matrix as a list of lists.
fn as_rows(rows: &[Vec<Form>], items: &[Form], same: &impl Fn(&Form, &Form) -> bool) -> bool {
    let all = |cells: &[&Form], items: &[Form]| {
        cells.len() == items.len() && cells.iter().zip(items).all(|(cell, item)| same(cell, item))
    };
    if rows.len() == 1 || rows.iter().all(|row| row.len() == 1) {
        let flat: Vec<&Form> = rows.iter().flatten().collect();
        if all(&flat, items) {
            return true;
        }
    }
    let row = |(row, item): (&Vec<Form>, &Form)| matches!(item, Form::Tuple('[', items, ']') if all(&row.iter().collect::<Vec<_>>(), items));
    rows.len() == items.len() && rows.iter().zip(items).all(row)
}

fn regions(gold: &Form, said: &Form) -> bool {
    match (gold, said) {
        (Form::Union(a) | Form::Several(a), Form::Union(b) | Form::Several(b)) if matched(a, b) => true,
        (Form::Together(a) | Form::Several(a), Form::Together(b) | Form::Several(b)) if matched(a, b) => true,
        _ => sets::same(gold, said),
    }
}

/// Whether a relation only names its answer; what a reply says at its end may also be what a sum or product is.
fn names_it(relation: &Relation, said: bool) -> bool {
    if !relation.is_equation() {
        return false;
    }
    let [left, right] = relation.sides.as_slice() else { return false };
    if relation.head != Head::None || expr::equal(left, right) {
        return true;
    }
    let number = |parsed: &Parsed| parsed.value().is_some_and(|value| !value.is_zero());
    // From one base to another.
    let based = matches!((&left.expr, &right.expr), (Expr::Based(..), Expr::Based(..)));
    said && number(right) && (left.expr.has_names() || based)
}

fn last(relation: &Relation, same: impl Fn(&Form) -> bool) -> bool {
    relation.last().is_some_and(|last| same(&Form::Value(last.clone())))
}

fn relations(a: &Relation, b: &Relation) -> bool {
    let same_head = match (&a.head, &b.head) {
        (Head::Function(a, of), Head::Function(b, other)) => a.eq_ignore_ascii_case(b) && of == other,
        (Head::Variable(a), Head::Variable(b)) | (Head::Label(a), Head::Label(b)) => a == b,
        _ => false,
    };
    let same_last = || a.last().zip(b.last()).is_some_and(|(a, b)| expr::equal(a, b));
    if same_head && a.is_equation() && b.is_equation() {
        return same_last();
    }
    // Other names are other things: `AB = 5` is not `CD = 5`.
    a.same_steps(b)
}

/// Whether two relations are about the same name.
fn same_names(a: &Relation, b: &Relation) -> bool {
    a.sides.iter().any(|side| b.sides.iter().any(|other| side.expr.shares_name(&other.expr)))
}

/// Whether two numbers leave the same rest.
fn congruent(a: &Parsed, b: &Parsed, modulus: &Parsed) -> bool {
    let difference = a.expr.clone().sum(b.expr.clone().negative()).over(modulus.expr.clone());
    expr::equal(a, b) || matches!(Parsed::from(difference).value(), Some(Value::Exact(exact)) if exact.is_whole())
}

fn quotient(parts: &[Parsed]) -> Option<Parsed> {
    let [a, b] = parts else { return None };
    Some(a.expr.clone().over(b.expr.clone()).into())
}

fn proportions(a: &[Parsed], b: &[Parsed]) -> bool {
    let cross = |(a, b): (&[Parsed], &[Parsed])| {
        let times = |one: &Parsed, other: &Parsed| -> Parsed { one.expr.clone().times(other.expr.clone()).into() };
        expr::equal(&times(&a[0], &b[1]), &times(&a[1], &b[0]))
    };
    let zero = |part: &Parsed| part.value().is_some_and(Value::is_zero);
    a.len() == b.len() && !a.iter().chain(b).any(zero) && a.windows(2).zip(b.windows(2)).all(cross)
}

fn is_letter(letter: char, form: &Form) -> bool {
    match form {
        Form::Name(name) => name.len() == 1 && name.starts_with(letter.to_ascii_lowercase()),
        Form::Value(Parsed { expr: Expr::Name(name), .. }) => name.len() == 1 && name.starts_with(letter),
        _ => false,
    }
}
