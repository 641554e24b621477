//! Matrices and vectors, and what is written with their rows.

use super::expr::{Expr, Parsed};
use super::form::{Form, between, form, side};
use super::plain::{ROW_END, name, spelling};

/// Most rows and columns.
const SIDE_MAX: usize = 16;
/// Most matrices that are multiplied.
const FACTORS_MAX: usize = 4;

/// A matrix, also in brackets, a product with numbers and others, `cases`.
pub(super) fn matrix(text: &str, depth: usize) -> Option<Form> {
    if !(1..=FACTORS_MAX).contains(&text.matches("\\begin").count()) {
        return None;
    }
    if let Some(inner) = between(text, "(", ")").or_else(|| between(text, "[", "]")) {
        return matrix(inner, depth);
    }
    let mut product: Option<Form> = None;
    let mut rest = text.trim();
    while let Some(at) = rest.find("\\begin") {
        let (factor, after) = (rest[..at].trim().trim_end_matches('*').trim(), &rest[at..]);
        if !factor.is_empty() {
            product = Some(times(product, scalar(factor)?)?);
        }
        let end = after.find("\\end")?;
        let close = after[end..].find('}')? + end + 1;
        let mut next = rows(&after[..end], depth)?;
        rest = after[close..].trim_start();
        if let Some(behind) =
            ["^T", "^{T}", "^ T", "^\\top", "^{\\top}"].iter().find_map(|mark| rest.strip_prefix(mark))
        {
            (next, rest) = (transposed(next)?, behind.trim_start());
        }
        rest = rest.strip_prefix('*').unwrap_or(rest).trim_start();
        product = Some(times(product, next)?);
    }
    if !rest.is_empty() {
        let divisor = rest.strip_prefix('/').and_then(side)?;
        let inverse = Expr::whole(1).over(divisor.expr);
        product = Some(times(product, Form::Value(inverse.into()))?);
    }
    product
}

/// A number before a matrix, of which only the sign may be written.
fn scalar(text: &str) -> Option<Form> {
    let parsed = if text == "-" { Expr::whole(-1).into() } else { side(text)? };
    Some(Form::Value(parsed))
}

/// What stands between `\begin{…}` and its end.
fn rows(text: &str, depth: usize) -> Option<Form> {
    let (kind, rest) = text.strip_prefix("\\begin")?.trim_start().strip_prefix('{')?.split_once('}')?;
    let kind = kind.trim_end_matches('*');
    let inner = if kind == "array" { rest.split_once('}')?.1 } else { rest };
    let inner = inner.replace("\\hline", "");
    let rows: Vec<&str> = inner.split(ROW_END).map(str::trim).filter(|row| !row.is_empty()).collect();
    if rows.is_empty() || rows.len() > SIDE_MAX || rows.iter().any(|row| row.matches('&').count() >= SIDE_MAX) {
        return None;
    }
    if matches!(kind, "cases" | "aligned" | "align" | "gathered" | "split") {
        let lines: Option<Vec<Form>> = rows.iter().map(|row| form(&row.replace('&', " "), depth + 1)).collect();
        if let Some(lines) = lines {
            return Some(Form::Several(lines));
        }
    } else if !kind.ends_with("matrix") && kind != "array" {
        return None;
    }
    let cell =
        |cell: &str| form(cell, depth + 1).unwrap_or_else(|| Form::Name(name(cell).unwrap_or_else(|| spelling(cell))));
    let cells: Vec<Vec<Form>> = rows.iter().map(|row| row.split('&').map(cell).collect()).collect();
    if kind == "vmatrix" {
        return determinant(&cells).map(|value| Form::Value(value.into()));
    }
    Some(Form::Matrix(cells))
}

fn expr_of(form: &Form) -> Option<Expr> {
    if let Form::Value(parsed) = form { Some(parsed.expr.clone()) } else { None }
}

fn transposed(form: Form) -> Option<Form> {
    let Form::Matrix(rows) = form else { return None };
    let width = rows.first()?.len();
    let column = |at: usize| rows.iter().map(|row| row.get(at).cloned()).collect::<Option<Vec<Form>>>();
    (0..width).map(column).collect::<Option<Vec<_>>>().map(Form::Matrix)
}

/// The product so far, and one factor more.
fn times(product: Option<Form>, factor: Form) -> Option<Form> {
    let value = |expr: Expr| Form::Value(Parsed::from(expr));
    match (product, factor) {
        (None, factor) => Some(factor),
        (Some(Form::Value(a)), Form::Value(b)) => Some(value(a.expr.times(b.expr))),
        (Some(Form::Value(scale)), Form::Matrix(rows)) | (Some(Form::Matrix(rows)), Form::Value(scale)) => {
            let cell = |cell: &Form| expr_of(cell).map(|cell| value(scale.expr.clone().times(cell)));
            let rows: Option<Vec<Vec<Form>>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
            rows.map(Form::Matrix)
        }
        (Some(Form::Matrix(a)), Form::Matrix(b)) => {
            let width = b.first()?.len();
            let cell = |row: &[Form], column: usize| {
                let mut sum: Option<Expr> = None;
                for (left, right) in row.iter().zip(&b) {
                    let term = expr_of(left)?.times(expr_of(right.get(column)?)?);
                    sum = Some(match sum {
                        Some(sum) => sum.sum(term),
                        None => term,
                    });
                }
                sum.filter(|_| row.len() == b.len()).map(value)
            };
            let rows: Option<Vec<Vec<Form>>> =
                a.iter().map(|row| (0..width).map(|column| cell(row, column)).collect()).collect();
            rows.map(Form::Matrix)
        }
        _ => None,
    }
}

/// The determinant of two or three rows.
fn determinant(cells: &[Vec<Form>]) -> Option<Expr> {
    let at = |row: usize, column: usize| expr_of(cells.get(row)?.get(column)?);
    let minor = |row: usize, a: usize, b: usize| {
        Some(at(row, a)?.times(at(row + 1, b)?).sum(at(row, b)?.times(at(row + 1, a)?).negative()))
    };
    if cells.iter().any(|row| row.len() != cells.len()) {
        return None;
    }
    match cells.len() {
        2 => minor(0, 0, 1),
        3 => {
            let middle = at(0, 1)?.times(minor(1, 0, 2)?).negative();
            Some(at(0, 0)?.times(minor(1, 1, 2)?).sum(middle).sum(at(0, 2)?.times(minor(1, 0, 1)?)))
        }
        _ => None,
    }
}
